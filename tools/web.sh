#!/bin/sh
# web.sh FOLDER: puts the OpenID provider and the browser driver of the tests into FOLDER, once, as their lock file has them.
set -eu
folder=$1
source=$(dirname "$(readlink -f "$0")")/../tests/web
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ -f "$folder/done" ] && cmp -s "$folder/done" "$source/package-lock.json"; then exit 0; fi
rm -rf "$folder/node_modules" "$folder/done"
cp "$source/package.json" "$source/package-lock.json" "$folder/"
npm ci --silent --no-audit --no-fund --prefix "$folder" >&2
cp "$source/package-lock.json" "$folder/done"
