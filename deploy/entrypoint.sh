#!/bin/sh
# Turns secrets given as files into the variables that the tools read, then becomes the command.
# NAME_FILE=/run/secrets/x sets NAME to what that file holds. Values are never printed.
set -eu

refuse() {
    echo "entrypoint: $1" >&2
    exit 78 # EX_CONFIG
}

# A fixed list: other variables that end in _FILE (SSL_CERT_FILE, AWS_CONFIG_FILE...) name files for the tools themselves.
for name in \
    AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY \
    PGPASSWORD \
    PREFECT_SERVER_DATABASE_PASSWORD PREFECT_SERVER_API_AUTH_STRING PREFECT_API_AUTH_STRING \
    MLFLOW_TRACKING_PASSWORD MLFLOW_TRACKING_TOKEN; do
    eval "given=\${${name}_FILE+yes} file=\${${name}_FILE-} direct=\${${name}:+yes}"
    [ -n "$given" ] || continue
    [ -z "$direct" ] || refuse "both $name and ${name}_FILE are set; keep one of them"
    [ -f "$file" ] || refuse "${name}_FILE: there is no file '$file'; create the secret and start again (docs/operations.md)"
    [ -r "$file" ] || refuse "${name}_FILE: '$file' cannot be read by user $(id -u); make it readable and start again"
    value=$(cat "$file")
    [ -n "$value" ] || refuse "${name}_FILE: '$file' is empty; write the secret into it and start again"
    export "$name=$value"
    unset "${name}_FILE" value
done

exec "$@"
