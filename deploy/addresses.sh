#!/bin/sh
# Where the stack's pages are, and where its passwords.
cat <<TEXT

Prefect: runs, schedules       http://127.0.0.1:${PREFECT_PORT:-4200}
MLflow: metrics, models        http://127.0.0.1:${MLFLOW_PORT:-5000}
S3: images go to s3://inbox    http://127.0.0.1:${S3_PORT:-8333}  (user inbox, secret in ${STACK_SECRETS:-deploy/secrets}/s3_inbox_key)
Passwords and keys             ${STACK_SECRETS:-deploy/secrets}/, one file each
Retrain now                    PREFECT_API_URL=http://127.0.0.1:${PREFECT_PORT:-4200}/api MLFLOW_TRACKING_URI=http://127.0.0.1:${MLFLOW_PORT:-5000} \\
                               .venv/bin/atelier retrain configs/digits-generator.yaml --on-workers
What to do when something fails, backups, upgrades: docs/operations.md
TEXT
