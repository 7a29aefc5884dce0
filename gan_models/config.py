"""The typed configuration of models: recipes, training and evaluation.

It imports no PyTorch, so that the platform can read a config in milliseconds. Every section is frozen and refuses
unknown keys, offering the nearest valid one.
"""

import difflib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator


class ConfigError(ValueError):
    """A config that cannot be used; the message says where, why and what to write instead."""


class Section(BaseModel):
    """Base of every config section."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageConfig(Section):
    """The images a model works on: square, `size` pixels, 1 (grey) or 3 (RGB) channels."""

    size: int = Field(ge=8, le=1024)
    channels: Literal[1, 3] = 3
    fit: Literal["resize", "crop"] = Field(
        "resize", description="resize: scale the stored image to size; crop: take size x size windows of it"
    )


# Degradations: what an editing model undoes. `name` is how tables and metrics call one.


class Denoise(Section):
    """Additive Gaussian noise. Sigma is drawn uniformly from [sigma_min, sigma_max], on the 0-255 scale."""

    kind: Literal["denoise"] = "denoise"
    name: str = "denoise"
    sigma_min: float = Field(5.0, gt=0, le=100)
    sigma_max: float = Field(50.0, gt=0, le=100)


class Inpaint(Section):
    """Holes to fill: random strokes or boxes, half and half, that cover about [share_min, share_max] of the image."""

    kind: Literal["inpaint"] = "inpaint"
    name: str = "inpaint"
    share_min: float = Field(0.05, gt=0, lt=1)
    share_max: float = Field(0.30, gt=0, lt=1)


Degradation = Annotated[Denoise | Inpaint, Field(discriminator="kind")]


# Recipes: one section each, named as in docs and in gan_models/recipes.


class DcganConfig(Section):
    """Radford et al. 2016, class-conditional by projection (Miyato & Koyama 2018) where the data has labels, with the
    R1 penalty and Adam's betas of Mescheder et al. 2018. Their own: batch norm, r1_gamma 0, 2e-4, betas .5 and .999."""

    name: Literal["dcgan"] = "dcgan"
    width: int = Field(32, ge=4, description="channels at the finest resolution; doubled at each coarser one")
    latent_dim: int = Field(100, ge=1)
    conditional: bool = True
    discriminator_norm: Literal["none", "spectral", "batch"] = "none"
    r1_gamma: float = Field(
        2.0, ge=0, description="weight of the R1 penalty, which keeps variety within a label; 0 leaves it out"
    )
    loss: Literal["non_saturating", "lsgan", "hinge"] = "non_saturating"
    learning_rate: float = Field(5e-4, gt=0)
    decay: float = Field(0.5, ge=0, le=1, description="share of the steps, the last, over which the rate falls to zero")
    betas: tuple[float, float] = (0.0, 0.99)
    augment: bool = Field(False, description="DiffAugment on both sides of the discriminator")


class RestoreConfig(Section):
    """One editing network for several degradations: PSNR alone first, adversarial and feature terms afterwards."""

    name: Literal["restore"] = "restore"
    width: int = Field(24, ge=4)
    blocks: tuple[int, ...] = Field((1, 1, 1, 2), description="blocks per resolution, finest first, coarsest last")
    degradations: tuple[Degradation, ...] = (Denoise(), Inpaint())
    learning_rate: float = Field(2e-3, gt=0)
    adversarial_from: float = Field(0.7, ge=0, le=1, description="share of the steps after which the GAN terms begin")
    adversarial_weight: float = Field(0.005, ge=0)
    feature_matching_weight: float = Field(0.1, ge=0)


RecipeConfig = Annotated[DcganConfig | RestoreConfig, Field(discriminator="name")]


class TrainConfig(Section):
    """Everything that decides what a training run produces."""

    image: ImageConfig
    recipe: RecipeConfig
    steps: int = Field(ge=1)
    batch_size: int = Field(64, ge=2)
    seed: int = 0
    flips: bool = Field(False, description="mirror training images left to right at random; wrong for digits or text")
    ema_half_life_images: float = Field(2_000, ge=0, description="half-life of the weights' moving average, in images")
    checkpoint_every: int = Field(250, ge=1, description="steps")
    sample_every: int = Field(250, ge=1, description="steps")
    log_every: int = Field(20, ge=1, description="steps")
    keep_checkpoints: int = Field(2, ge=1)
    device: Literal["auto", "cpu", "cuda"] = "auto"

    @model_validator(mode="after")
    def _recipe_can_make_the_size(self) -> "TrainConfig":
        size = self.image.size
        if self.recipe.name == "dcgan" and size & (size - 1):
            raise ValueError(f"dcgan makes images whose size is a power of two, and image.size is {size}")
        return self


class ExtractorConfig(Section):
    """The network whose features distances are measured in. `size`: pixels that images are resized to before it."""

    name: Literal["efficientnet_lite0"] = "efficientnet_lite0"
    size: int = Field(96, ge=32)


class EvaluateConfig(Section):
    """What is measured, on how many images; part of every number's protocol."""

    num_images: int = Field(1_000, ge=2, description="generated images, or evaluation crops at most")
    seed: int = 0
    batch_size: int = Field(64, ge=1)
    extractor: ExtractorConfig = ExtractorConfig()
    degradations: tuple[Degradation, ...] = Field((), description="editing models: one slice of the metrics each")

    @model_validator(mode="after")
    def _slices_are_told_apart(self) -> "EvaluateConfig":
        names = [d.name for d in self.degradations]
        if len(set(names)) < len(names):
            raise ValueError(f"degradations need different names to be told apart, these are {names}")
        for name in names:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name) or name.startswith("label_"):
                raise ValueError(
                    f"a degradation's name becomes part of metric names: 1 to 64 of a-z, 0-9, '_' and '-', "
                    f"not beginning with 'label_'; {name!r} is not one"
                )
        return self


AnySection = TypeVar("AnySection", bound=BaseModel)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is not YAML, or is not a mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], n=1, cutoff=0.3)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"there is no config {path}{hint}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{path} should hold a mapping of sections such as 'train:', it holds {type(content).__name__}"
        )
    return content


def validate(section: type[AnySection], content: Any, where: str) -> AnySection:  # noqa: ANN401
    """`content` as a `section`.

    Raises:
        ConfigError: naming the key, with the nearest valid one where it is unknown.
    """
    try:
        return section.model_validate(content)
    except ValidationError as error:
        lines = [_explain(section, dict(problem)) for problem in error.errors()]
        raise ConfigError(f"{where}: " + "; ".join(lines)) from None


def read_train_config(path: Path) -> TrainConfig:
    """The `train` section of a model's config file, which is all that training needs of it."""
    return validate(TrainConfig, read_yaml(path).get("train"), f"{path}, section train")


def read_evaluate_config(path: Path) -> EvaluateConfig:
    """The `evaluate` section of a model's config file."""
    return validate(EvaluateConfig, read_yaml(path).get("evaluate", {}), f"{path}, section evaluate")


def recipe_config(content: dict[str, Any]) -> RecipeConfig:
    """A recipe section as read back from a bundle."""
    return TypeAdapter[RecipeConfig](RecipeConfig).validate_python(content)


def _explain(section: type[BaseModel], problem: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        unknown = str(problem["loc"][-1])
        near = difflib.get_close_matches(unknown, sorted(set(_field_names(section))), n=1)
        return f"unknown key '{key}'" + (f", did you mean '{near[0]}'?" if near else "")
    if problem["type"] == "union_tag_invalid":
        expected = problem["ctx"]["expected_tags"].replace("'", "").split(", ")
        near = difflib.get_close_matches(str(problem["ctx"]["tag"]), expected, n=1, cutoff=0.3)
        hint = f", did you mean '{near[0]}'?" if near else ""
        return f"'{key}' is '{problem['ctx']['tag']}', which is none of {', '.join(expected)}{hint}"
    return f"'{key}': {problem['msg']}"


def _field_names(annotation: Any) -> Iterator[str]:  # noqa: ANN401
    """Names of all fields in a section and the sections within it."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        for name, field in annotation.model_fields.items():
            yield name
            yield from _field_names(field.annotation)
    else:
        for part in get_args(annotation):
            yield from _field_names(part)
