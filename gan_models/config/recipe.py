"""What the config sections of all recipes share."""

from typing import ClassVar, Literal

from pydantic import Field

from gan_models.config.bounds import Betas, LearningRate
from gan_models.config.section import Section


class RecipeSection(Section):
    """Base of the recipes' sections: how their optimizers, all of them Adam, are driven."""

    instance_norm: ClassVar[bool] = False  # in the larger part of the networks

    learning_rate: LearningRate = 2e-4
    betas: Betas = (0.5, 0.999)
    schedule: Literal["constant", "linear", "cosine"] = Field(
        "linear", description="how the learning rate falls over the last `decay` share of the steps"
    )
    decay: float = Field(0.5, ge=0, le=1, description="share of the steps, the last, over which the rate falls")
    final_learning_rate: float = Field(0.0, ge=0, le=1, description="where it falls to, as a share of learning_rate")
    warm_up: float = Field(0.0, ge=0, le=1, description="share of the steps, the first, over which the rate rises")
    gradient_clip: float | None = Field(None, gt=0, description="largest Euclidean norm of a network's gradient")
