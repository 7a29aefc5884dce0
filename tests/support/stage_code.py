"""The modules that each stage runs, for each recipe that a config may name."""

from typing import get_args

from flows.lookup import dataset, evaluation, training
from gan_models.config import RecipeConfig, Task

TASK_OF: dict[str, Task] = {
    section.model_fields["name"].default: section.task for section in get_args(get_args(RecipeConfig)[0])
}

# By a stage and its recipe, as "train dcgan".
STAGES: dict[str, tuple[str, ...]] = {
    "dataset": dataset.ENTRY_POINTS,
    **{f"train {recipe}": training.entry_points(recipe) for recipe in TASK_OF},
    **{f"evaluate {recipe}": evaluation.entry_points(recipe, task) for recipe, task in TASK_OF.items()},
}


def stages_of(stage: str) -> tuple[str, ...]:
    """Return all modules that a stage runs, of whatever recipe."""
    return tuple(module for name, modules in STAGES.items() if name.split()[0] == stage for module in modules)
