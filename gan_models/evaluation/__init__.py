"""Judging a trained model: metrics with intervals, comparison of two models, and the report.

`measurable`, `result`, `comparison`, `metrics.catalog` and `stats.intervals` import no PyTorch, so that the platform
can read and compare evaluations cheaply; making one (`python -m gan_models.evaluation`) is a process of its own.
"""
