"""How long each is given to end once it is asked to: every one less than the one that waits for it.

Whoever stops a worker from outside gives it `CONTAINER_SECONDS`: Compose's `stop_grace_period`, and Kubernetes'
`terminationGracePeriodSeconds`.
"""

TRAINER_SECONDS = 60.0  # to write a checkpoint; then its flow run kills it
CLOSE_SECONDS = 15.0  # to say on its run in MLflow why it ends; then it ends without
FLOW_SECONDS = 80.0  # to end its trainer, and to close its runs in MLflow and Prefect; then its worker kills it
WORKER_SECONDS = 100.0  # to end its flow runs; then `atelier up` kills it
CONTAINER_SECONDS = 120.0
