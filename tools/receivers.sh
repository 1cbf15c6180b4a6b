#!/bin/sh
# receivers.sh FOLDER: puts what the tests read exports with, and an S3 server, into FOLDER, once.
# Versions are pinned, so that a release elsewhere never changes what a test means.
set -eu
folder=$1
want="duckdb==2.0.0 moto[server,s3]==5.2.5 boto3==1.44.5 zstandard==0.25.0"
mkdir -p "$folder"
exec 9>"$folder/lock"
flock 9
if [ -f "$folder/done" ] && [ "$(cat "$folder/done")" = "$want" ]; then exit 0; fi
rm -rf "$folder/venv" "$folder/done"
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086 # a list of words
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check $want
printf '%s' "$want" >"$folder/done"
