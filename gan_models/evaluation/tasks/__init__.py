"""How a model of each task is judged, one evaluator a file, named as the task is."""

from importlib import import_module
from typing import cast

from gan_models.config import Task
from gan_models.evaluation.tasks.base import Evaluator


def evaluator_of(task: Task) -> Evaluator:
    """Return the evaluator of a task, imported now: a model's evaluation depends on its own and not every other."""
    return cast(Evaluator, import_module(f"{__name__}.{task}"))
