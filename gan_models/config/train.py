"""The section `train`: everything that decides what a training run produces."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, TypeAdapter, model_validator

from gan_models.config.bounds import Steps
from gan_models.config.health import HealthConfig
from gan_models.config.recipes import RecipeConfig
from gan_models.config.section import Section, validate
from gan_models.config.speed import SpeedConfig
from gan_models.config.yaml_file import read_yaml


class ImageConfig(Section):
    """The images a model works on: square, `size` pixels, 1 (gray) or 3 (RGB) channels."""

    size: int = Field(ge=8, le=1024)
    channels: Literal[1, 3] = 3
    fit: Literal["cover", "resize", "crop"] = Field(
        "cover",
        description="cover: scale the shorter side to size and cut the longer one to its middle; resize: scale both "
        "sides to size, which squeezes what is not square; crop: take size x size windows of the stored image",
    )


class TrainConfig(Section):
    """Everything that decides what a training run produces."""

    image: ImageConfig
    recipe: RecipeConfig
    steps: Steps
    batch_size: int = Field(64, ge=1, le=65_536, description="images per step, over all processes together")
    seed: int = Field(0, ge=0, lt=2**63)
    flips: bool = Field(False, description="mirror training images left to right at random; wrong for digits or text")
    ema_half_life_images: float = Field(
        2_000, ge=0, le=1e12, description="half-life of the weights' moving average, in images"
    )
    checkpoint_every: Steps = Field(250, description="steps")
    sample_every: Steps = Field(250, description="steps")
    log_every: Steps = Field(20, description="steps")
    keep_checkpoints: int = Field(2, ge=1, le=1_000)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    init_from: str | None = Field(None, min_length=1, description="a bundle of the same recipe to begin from, a path")
    health: HealthConfig = HealthConfig()
    speed: SpeedConfig = SpeedConfig()

    @model_validator(mode="after")
    def _recipe_can_make_the_size(self) -> "TrainConfig":
        self.recipe.check_size(self.image.size)
        return self


def read_train_config(path: Path) -> TrainConfig:
    """Return the `train` section of a model's config file, which is all that training needs of it."""
    return validate(TrainConfig, read_yaml(path).get("train"), f"{path}, section train")


def recipe_config(content: dict[str, Any]) -> RecipeConfig:
    """Return a recipe section as read back from a bundle."""
    return TypeAdapter[RecipeConfig](RecipeConfig).validate_python(content)
