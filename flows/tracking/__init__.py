"""The way to MLflow: runs, the registry, metrics, and the model that is served."""
