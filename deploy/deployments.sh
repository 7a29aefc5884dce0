#!/bin/sh
# Creates the work pools unless they exist, and the deployments of prefect.yaml. Safe to run again at any time.
set -eu

for pool in cpu gpu; do
    prefect work-pool inspect "$pool" > /dev/null 2>&1 || prefect --no-prompt work-pool create "$pool" --type process
done
prefect --no-prompt deploy --all
