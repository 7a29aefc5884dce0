"""How a model of each task is judged, one evaluator a file."""
