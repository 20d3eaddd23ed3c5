#!/usr/bin/env bash
# Unpacks Asterisk and all that it needs from Debian's packages into a folder of its own: nothing is installed, and no
# rights are needed. Says where it is when it is there, and makes it first if it is not; with `--where` it only says so.
#
# ROBOCALL_ASTERISK  the folder, else robocall/asterisk in the user's cache; tests/support/asterisk.rs knows the same rule
# ROBOCALL_DEBIAN    the mirror, else the one that apt on this machine uses
set -euo pipefail

folder="${ROBOCALL_ASTERISK:-${XDG_CACHE_HOME:-$HOME/.cache}/robocall/asterisk}"
# Written last, so that only a whole tree has it.
stamp="$folder/version"
if [ -s "$stamp" ] || [ "${1:-}" = --where ]; then
  printf '%s\n' "$folder"
  exit 0
fi

fail() {
  printf 'no Asterisk for the tests: %s\n' "$1" >&2
  exit 1
}

# Addresses in apt's own lists, of either form, that look like a mirror of Debian: their last part is its name.
mirrors() {
  {
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk 'tolower($1) == "uris:" { for (i = 2; i <= NF; i++) print $i }' || true
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
      sed -n 's/^[[:space:]]*deb[[:space:]]*\(\[[^]]*\]\)\{0,1\}[[:space:]]*\([^[:space:]]*\).*/\2/p' || true
  } | grep -E '/debian(\.list)?/?$'
}

for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || fail "$tool is needed to unpack it from Debian's packages"
done
mirror="${ROBOCALL_DEBIAN:-$(mirrors | head -n 1)}" || fail "apt knows no mirror of Debian here: name one in ROBOCALL_DEBIAN"
keys=''
for file in /usr/share/keyrings/debian-archive-keyring.{pgp,gpg}; do
  if [ -r "$file" ]; then keys="$file"; fi
done
[ -n "$keys" ] || fail "Debian's keys are not here: install debian-archive-keyring"

mkdir -p "$(dirname "$folder")"
# What killed runs have left behind.
find "$(dirname "$folder")" -maxdepth 1 -name "$(basename "$folder").making.*" -mmin +60 -exec rm -rf {} +
work="$(mktemp -d "$folder.making.XXXXXX")"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/tree "$work"/lists/partial "$work"/cache/archives/partial
: >"$work/status"
# Asterisk is in no release of Debian after 11, only in sid. Since the C library comes with it, that asks nothing of the host.
printf 'deb [signed-by=%s] %s sid main\n' "$keys" "$mirror" >"$work/sources.list"
# Of the machine's own settings only those hold that say how to fetch, such as proxies: its lists, its status and what it
# does after each update are not ours.
apt-config dump | grep '^Acquire::' | grep -vE '^Acquire::(Languages|IndexTargets)' >"$work/apt.conf" || true
cat >>"$work/apt.conf" <<TEXT
Dir::Etc::Main "/dev/null";
Dir::Etc::Parts "/dev/null";
Dir::Etc::SourceList "$work/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::Lists "$work/lists";
Dir::State::Status "$work/status";
Dir::Cache "$work/cache";
APT::Architecture "$(dpkg --print-architecture)";
APT::Architectures "$(dpkg --print-architecture)";
APT::Install-Recommends "false";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
Debug::NoLocking "true";
TEXT
export APT_CONFIG="$work/apt.conf"
apt-get -qq update >&2
apt-get -qq -y --download-only install asterisk asterisk-core-sounds-en-wav asterisk-core-sounds-en-gsm >&2
for package in "$work"/cache/archives/*.deb; do
  # What nobody reads here is half of it.
  dpkg-deb --fsys-tarfile "$package" |
    tar -x -C "$work/tree" --exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/locale
done
version="$(dpkg-deb --field "$work"/cache/archives/asterisk_*.deb Version)"
case "${version#*:}" in
  2[2-9].* | [3-9][0-9].*) ;;
  *) fail "the mirror has version $version, and 22 is needed" ;;
esac
printf '%s\n' "$version" >"$work/tree/version"
# A second one at the same time may have been faster; a folder without a stamp is of no use to anybody.
if [ ! -s "$stamp" ]; then
  rm -rf "$folder"
  mv -T "$work/tree" "$folder" || [ -s "$stamp" ]
fi
printf '%s\n' "$folder"
