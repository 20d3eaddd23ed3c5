#!/usr/bin/env bash
# Gathers the engine that speaks in the folder FOLDER, with what it needs besides what the image's last stage has, and the packages
# that this is of where scanners of images look for them (`status.d`, as in the images of Distroless). In an image of Debian.
set -euo pipefail
folder="$1"
packages="$folder/var/lib/dpkg/status.d"
mkdir -p "$packages"

libraries="$(ldd /usr/bin/espeak-ng | awk '/=> \//{print $3}' | grep -v -E '/(libc|libm|libgcc_s|libstdc\+\+)\.so')"
data="$(dirname "$(find /usr/lib -name phontab -path '*/espeak-ng-data/*')")"
cp --parents -r /usr/bin/espeak-ng "$data" "$folder"
for library in $libraries; do
  # /lib and /usr/lib are one folder, and the last stage has only the second.
  cp --parents -L "/usr${library#/usr}" "$folder"
done

for file in /usr/bin/espeak-ng "$data/phontab" $libraries; do
  package="$(dpkg-query --search "*${file#/usr}" | awk -F: 'NR == 1 {print $1}')"
  dpkg-query --status "$package" >"$packages/$package"
  cp --parents "/usr/share/doc/$package/copyright" "$folder"
done
