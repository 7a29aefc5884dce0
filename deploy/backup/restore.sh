#!/bin/sh
# Brings a backup into a stack that is new: its databases are replaced, and objects are put beside those that are there.
#   sh deploy/backup/restore.sh FOLDER
# Servers and workers are stopped meanwhile and are to be started again with `make stack`.
set -eu
compose="${COMPOSE:-docker compose} --file $(cd "$(dirname "$0")/.." && pwd)/compose.yaml"
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
for file in prefect.dump mlflow.dump objects.tar; do
    [ -s "$1/$file" ] || { echo "$1 is no whole backup: $file is not there" >&2; exit 1; }
done

# Over TCP with the password: where the socket lies is a matter of the image.
postgres='PGPASSWORD=$(cat "$POSTGRES_PASSWORD_FILE") exec "$0" --host=127.0.0.1 --username=postgres "$@"'

$compose --profile '*' stop worker-cpu worker-no-gpu worker-gpu worker-beside-gpu prefect-server mlflow-server
$compose up --detach --no-build --wait postgres s3
# Objects first: what fails here leaves the databases as they were.
$compose run --rm --no-deps -T buckets python deploy/s3/objects.py load < "$1/objects.tar"
for name in prefect mlflow; do
    $compose exec -T postgres sh -c "$postgres" pg_restore --dbname="$name" --clean --if-exists --no-owner --role="$name" \
        --single-transaction < "$1/$name.dump"
done
# What held a lock when the backup was made is gone, and so are the leases that would have ended with it.
$compose exec -T postgres sh -c "$postgres" psql --dbname=prefect --quiet \
    --command="DELETE FROM concurrency_limit_v2 WHERE name LIKE 'atelier-%'"
echo "restored from $1; start the rest with \`make stack\`"
