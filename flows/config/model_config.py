"""The schema of configs/*.yaml: everything a person edits to retrain something else."""

import re
from pathlib import Path

from pydantic import Field, model_validator

from flows.config.dataset_section import DatasetConfig
from flows.config.promote_section import PromoteConfig
from gan_models.config import EvaluateConfig, Section, TrainConfig, read_yaml, validate
from gan_models.config.names import Name
from gan_models.evaluation.errors import EvaluationError
from gan_models.evaluation.measurable import measurable
from gan_models.evaluation.metrics.catalog import METRICS

# How a registered model is named: models:/name/3 or models:/name@alias.
REFERENCE = re.compile(r"models:/(?P<name>[^/@\s]+)(?:@(?P<alias>[^/@\s]+)|/(?P<version>[0-9]+))")


class ResourcesConfig(Section):
    """What a model takes of a machine. It decides no result, and no fingerprint holds it."""

    gpus: int = Field(1, ge=1, le=1_024, description="that it trains on, one process each; fewer where there are fewer")


class ModelConfig(Section):
    """One model: what it is, the data it learns from, how it is trained, judged and promoted."""

    name: Name
    description: str = ""
    license: str | None = Field(None, description="of the model, for its card")
    intended_use: str | None = Field(None, description="what it is for and what it is not for, for its card")
    dataset: DatasetConfig
    train: TrainConfig
    evaluate: EvaluateConfig = EvaluateConfig()
    promote: PromoteConfig
    resources: ResourcesConfig = ResourcesConfig()

    @model_validator(mode="after")
    def _begins_from_what_can_be_named(self) -> "ModelConfig":
        asked = self.train.init_from or ""
        if ":" in asked and not REFERENCE.fullmatch(asked):
            raise ValueError(
                f"train.init_from is '{asked}'; write models:/name/3, models:/name@champion, or the folder of a bundle"
            )
        return self

    @model_validator(mode="after")
    def _rules_are_about_what_is_measured(self) -> "ModelConfig":
        try:
            known = measurable(self.train, self.evaluate)
        except EvaluationError as error:
            raise ValueError(str(error)) from None
        for number, rule in enumerate(self.promote.rules):
            reason = known.why_not(rule.metric)
            name = known.name_of(rule.metric)
            if rule.against_champion and name and METRICS[name].higher_is_better is None:
                reason = f"'{rule.metric}' has no better direction; bound it with at_least or at_most instead"
            if reason:
                raise ValueError(f"promote.rules.{number}: {reason}")
        return self

    @model_validator(mode="after")
    def _takes_masks_for_masks(self) -> "ModelConfig":
        """Refuse to decode as a picture what is learned from as classes, and the other way round."""
        target, classes = self.train.recipe.domains[1], self.train.recipe.mask_classes
        for source in self.dataset.sources:
            if target is None or target not in (source.pairs or {}):
                continue
            if classes and source.masks != target:
                raise ValueError(
                    f"the recipe learns classes from the masks of '{target}', and the source {source.path!r} takes "
                    f"them for pictures; give it 'masks: {target}'"
                )
            if source.masks == target and not classes:
                raise ValueError(
                    f"the source {source.path!r} has the masks of '{target}', and the recipe takes them for pictures; "
                    "give it the 'classes' of their values, which pix2pix learns"
                )
        return self


def read_model_config(path: Path) -> ModelConfig:
    """Return the config in a file.

    Raises:
        ConfigError: it cannot be read or is not valid; the message names the key and the nearest valid one.
    """
    return validate(ModelConfig, read_yaml(path), str(path))


def named_files(model: ModelConfig) -> dict[str, Path]:
    """Return the files that a config names besides its sources, by their keys, relative to the project."""
    named = {
        "evaluate.unseen_style": model.evaluate.unseen_style,
        "evaluate.extractor.weights": model.evaluate.extractor.weights,
    }
    return {key: path for key, path in named.items() if path is not None}
