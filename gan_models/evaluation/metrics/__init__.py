"""The metrics, one idea a file: each takes pixels or features and returns an estimate with its influence values."""
