#!/bin/sh
# install.sh FOLDER: a virtual environment in FOLDER/venv with the pinned packages of requirements.txt, once.
set -eu
folder=$1
list=$(dirname "$(dirname "$(readlink -f "$0")")")/requirements.txt
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ -f "$folder/done" ] && cmp -s "$folder/done" "$list"; then exit 0; fi
rm -rf "$folder/venv" "$folder/done"
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$list"
cp "$list" "$folder/done"
