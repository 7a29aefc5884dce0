#!/bin/sh
# Starts SeaweedFS with its S3 gateway and four users, made from the secret files: `admin` creates the buckets, `mlflow`
# and `dvc` each write to one bucket and nothing else, and people put images into `inbox`, which `dvc` reads as a source.
set -eu
secrets="${SECRETS_DIR:-/run/secrets}"
config="${CONFIG_DIR:-/run/s3}/identities.json"

key() {
    [ -s "$secrets/$1" ] || { echo "s3: the secret '$secrets/$1' is missing or empty" >&2; exit 1; }
    tr -d '\n' < "$secrets/$1"
}
admin_key=$(key s3_admin_key)
mlflow_key=$(key s3_mlflow_key)
dvc_key=$(key s3_dvc_key)
inbox_key=$(key s3_inbox_key)

umask 077
cat > "$config" <<JSON
{"identities": [
  {"name": "admin", "credentials": [{"accessKey": "admin", "secretKey": "$admin_key"}],
   "actions": ["Admin", "Read", "Write", "List", "Tagging"]},
  {"name": "mlflow", "credentials": [{"accessKey": "mlflow", "secretKey": "$mlflow_key"}],
   "actions": ["Read:mlflow-artifacts", "Write:mlflow-artifacts", "List:mlflow-artifacts", "Tagging:mlflow-artifacts"]},
  {"name": "dvc", "credentials": [{"accessKey": "dvc", "secretKey": "$dvc_key"}],
   "actions": ["Read:dvc", "Write:dvc", "List:dvc", "Tagging:dvc", "Read:inbox", "List:inbox"]},
  {"name": "inbox", "credentials": [{"accessKey": "inbox", "secretKey": "$inbox_key"}],
   "actions": ["Read:inbox", "Write:inbox", "List:inbox", "Tagging:inbox"]}
]}
JSON

# Small volumes: seven are made at once for each bucket, and where these do not fit on the disk, the bucket takes nothing
# ("We encountered an internal error").
# Only the S3 gateway listens beyond this container; master, volume and filer have no authentication of their own.
exec weed server -ip=127.0.0.1 -ip.bind=127.0.0.1 -dir="${DATA_DIR:-/data}" -volume.max=0 -master.volumeSizeLimitMB=256 \
    -s3 -s3.config="$config" -s3.ip.bind=0.0.0.0 -s3.port=8333 -s3.port.iceberg=0 -s3.port.lance=0 "$@"
