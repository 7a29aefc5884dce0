#!/bin/sh
# Creates every secret that compose.yaml names, as random values, one file each; files that exist are kept.
# To use your own values, write them into these files first (one line, nothing else).
set -eu
mkdir -p "${1:-$(dirname "$0")}"
cd "${1:-$(dirname "$0")}"

# The containers run as other users than you and must read these files, so the files are readable by all
# and the folder around them is closed to everybody but you.
chmod 700 .
umask 022

for name in postgres_password prefect_db_password mlflow_db_password s3_admin_key s3_mlflow_key s3_dvc_key s3_inbox_key grafana_password; do
    if [ -s "$name" ]; then
        echo "kept     $name"
    else
        od -An -N32 -tx1 /dev/urandom | tr -d ' \n' > "$name"
        echo "created  $name"
    fi
done
