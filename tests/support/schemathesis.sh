#!/usr/bin/env bash
# Prints where schemathesis is, which asks an interface all that its document allows; installs it into the user's cache
# first, if it is not there.
set -euo pipefail
version=4.32.5
folder="${XDG_CACHE_HOME:-$HOME/.cache}/robocall/schemathesis-$version"
if [ ! -x "$folder/bin/python" ]; then
  mkdir -p "$(dirname "$folder")"
  # Made beside it and moved there whole: two tests may ask at once, and one may be killed over it.
  making="$(mktemp -d "$folder.XXXXXX")"
  trap 'rm -rf "$making"' EXIT
  python3 -m venv "$making" >&2
  "$making/bin/pip" --quiet --disable-pip-version-check install "schemathesis==$version" >&2
  # A virtual environment knows its own place; as a module it is found wherever it is.
  [ -e "$folder" ] || mv -T "$making" "$folder" 2>/dev/null || [ -x "$folder/bin/python" ]
fi
printf '%s\n' "$folder"
