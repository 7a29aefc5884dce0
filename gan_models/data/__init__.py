"""Datasets on disk and in memory: shards, which images a model works on, and their pixels."""
