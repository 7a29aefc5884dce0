#!/bin/sh
# Run once by the postgres image, on an empty volume: a role and a database each for Prefect and MLflow.
# Never one for both: each owns a table alembic_version and would take the other's for its own. In UTF-8 whatever the
# server's locale is: in the encoding of the locale C, MLflow refuses every description with a letter that is not ASCII.
set -eu

for name in prefect mlflow; do
    file="${SECRETS_DIR:-/run/secrets}/${name}_db_password"
    [ -s "$file" ] || { echo "databases: the secret '$file' is missing or empty" >&2; exit 1; }
    # psql reads the password itself, so it never stands on a command line.
    NAME=$name FILE=$file psql --quiet --no-psqlrc --set ON_ERROR_STOP=1 \
        --username "$POSTGRES_USER" --dbname postgres <<'SQL'
\getenv name NAME
\getenv file FILE
\set password `cat "$FILE"`
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name" TEMPLATE template0 ENCODING 'UTF8';
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
