"""What each task is to whoever uses its models: one table, without PyTorch.

Another task gets an entry here, an evaluator in `gan_models.evaluation.tasks`, and an answer in the served model.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gan_models.config import RecipeConfig, Task


@dataclass(frozen=True)
class TaskDescription:
    """How models of a task are asked for something.

    fields: of a request, that a served model of this task takes
    example: a request, for the model card; `label` stands in it where the model uses labels
    in_words: a sentence on what a model of a recipe does, where there is more to say than the task
    """

    fields: tuple[str, ...]
    example: Mapping[str, Any]
    in_words: Callable[[RecipeConfig], str | None] = lambda recipe: None


def _translation(recipe: RecipeConfig) -> str | None:
    """Return two domains, or what is made of one image, as "Turns `photo` into `map`"."""
    source, target = recipe.domains
    if source is None or target is None:
        assert recipe.name == "pix2pix", "any other recipe that translates has domains"
        source, target = recipe.input, recipe.target
    return f"Turns `{source}` into `{target}`"


TASKS: dict[Task, TaskDescription] = {
    "generate": TaskDescription(fields=("label", "seed", "truncation"), example={"label": "\u2026", "seed": 1}),
    "restore": TaskDescription(fields=("image", "mask", "scale"), example={"image": "<base64 PNG>"}),
    "translate": TaskDescription(("image", "reverse"), {"image": "<base64 PNG>"}, _translation),
    "stylize": TaskDescription(
        fields=("image", "style", "style_image", "alpha"),
        example={"image": "<base64 PNG>", "style": "\u2026", "alpha": 1.0},
    ),
}


def example_request(recipe: RecipeConfig) -> str:
    """Return what a served model of a recipe may be asked, as JSON."""
    example = {key: value for key, value in TASKS[recipe.task].example.items() if key != "label" or recipe.uses_labels}
    return json.dumps(example, ensure_ascii=False)
