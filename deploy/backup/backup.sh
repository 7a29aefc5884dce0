#!/bin/sh
# Copies all that cannot be made again into a folder: both databases and every object. The stack goes on running.
#   sh deploy/backup/backup.sh FOLDER
set -eu
compose=${COMPOSE:-docker compose}
here=$(cd "$(dirname "$0")/.." && pwd)
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
umask 077
mkdir -p "$1"

# Over TCP with the password: where the socket lies is a matter of the image.
postgres='PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") exec "$0" --host=127.0.0.1 --username=postgres "$@"'

# Databases first: what they name was stored before it was named, so that the objects copied afterwards hold all of it.
for name in prefect mlflow; do
    $compose --file "$here/compose.yaml" exec -T postgres sh -c "$postgres" pg_dump --format=custom "$name" > "$1/$name.dump.partial"
    mv "$1/$name.dump.partial" "$1/$name.dump"
done
$compose --file "$here/compose.yaml" run --rm --no-deps -T buckets python deploy/s3/objects.py save > "$1/objects.tar.partial"
mv "$1/objects.tar.partial" "$1/objects.tar"
echo "backed up to $1: $(du -sh "$1" | cut -f 1)"
