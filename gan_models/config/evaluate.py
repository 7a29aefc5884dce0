"""The section `evaluate`: what is measured, and on what."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from gan_models.config.degradations import Degradation
from gan_models.config.section import ConfigError, Section, read_yaml, validate


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

    unseen_style: Path | None = Field(
        None,
        description="style banks: a picture that is in no training set; a relative path is looked for in the folder of "
        "the config file, then in each folder above it, such as the project's",
    )

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


def read_evaluate_config(path: Path) -> EvaluateConfig:
    """The `evaluate` section of a model's config file, its paths made absolute.

    Raises:
        ConfigError: it is not valid, or a file that it names is not there.
    """
    config = validate(EvaluateConfig, read_yaml(path).get("evaluate", {}), f"{path}, section evaluate")
    if config.unseen_style is None:
        return config
    places = [folder / config.unseen_style for folder in path.resolve().parents]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ConfigError(
            f"{path}, section evaluate: unseen_style is {config.unseen_style}, and there is no such file in "
            f"{path.resolve().parent} nor in a folder above it"
        )
    return config.model_copy(update={"unseen_style": found})
