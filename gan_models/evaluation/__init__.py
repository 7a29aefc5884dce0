"""Judging a trained model: metrics with intervals, comparison of two models, and the report.

`registry`, `result`, `comparison` and `intervals` import no PyTorch, so that the platform can read and compare
evaluations cheaply; making one (`python -m gan_models.evaluation`) is a process of its own.
"""
