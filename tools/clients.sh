#!/bin/sh
# clients.sh FOLDER: puts the Python and Node database drivers that the tests use into FOLDER, once.
# Versions are pinned, so that a driver's release never changes what a test means.
set -eu
folder=$1
want="psycopg[binary]==3.2.9 asyncpg==0.30.0 pg@8.16.3"
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ -f "$folder/done" ] && [ "$(cat "$folder/done")" = "$want" ]; then exit 0; fi
rm -rf "$folder/venv" "$folder/node" "$folder/done"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "psycopg[binary]==3.2.9" "asyncpg==0.30.0"
mkdir -p "$folder/node"
npm install --silent --no-audit --no-fund --prefix "$folder/node" pg@8.16.3 >&2
printf '%s' "$want" >"$folder/done"
