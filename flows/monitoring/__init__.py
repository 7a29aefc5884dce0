"""What Prometheus is told of a project: its servers, its runs, its models, its disk."""
