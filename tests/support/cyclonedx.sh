#!/usr/bin/env bash
# Prints where cargo-cyclonedx is, of the version with which the image is made: it writes down what a program is made of. Builds
# it into the user's cache first, if it is not there.
set -euo pipefail
version="$(sed -n 's/.*cargo-cyclonedx@\([0-9.]*\).*/\1/p' "$(dirname "${BASH_SOURCE[0]}")/../../Dockerfile")"
folder="${XDG_CACHE_HOME:-$HOME/.cache}/robocall/cargo-cyclonedx-$version"
if [ ! -x "$folder/bin/cargo-cyclonedx" ]; then
  mkdir -p "$(dirname "$folder")"
  # Made beside it and moved there whole: two tests may ask at once, and one may be killed over it.
  making="$(mktemp -d "$folder.XXXXXX")"
  trap 'rm -rf "$making"' EXIT
  # Unoptimised: it is built longer than it runs.
  CARGO_TARGET_DIR="$making/target" CARGO_PROFILE_DEV_DEBUG=0 \
    cargo install --quiet --debug --locked --root "$making" "cargo-cyclonedx@$version" >&2
  rm -rf "$making/target"
  [ -e "$folder" ] || mv -T "$making" "$folder" 2>/dev/null || [ -x "$folder/bin/cargo-cyclonedx" ]
fi
printf '%s\n' "$folder/bin/cargo-cyclonedx"
