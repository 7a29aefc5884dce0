"""The networks that features are measured in, and features that are kept."""
