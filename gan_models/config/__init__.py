"""The typed configuration of models: recipes, training and evaluation.

It imports no PyTorch, so that the platform can read a config in milliseconds. Every section is frozen and refuses
unknown keys, offering the nearest valid one.
"""

from gan_models.config.degradations import Degradation, Denoise, Inpaint
from gan_models.config.evaluate import EvaluateConfig, ExtractorConfig, read_evaluate_config
from gan_models.config.generation import DcganConfig
from gan_models.config.recipe import RecipeSection
from gan_models.config.restoration import RestoreConfig
from gan_models.config.section import ConfigError, Section, read_yaml, validate
from gan_models.config.train import (
    ImageConfig,
    RecipeConfig,
    TrainConfig,
    domains_of,
    read_train_config,
    recipe_config,
)

__all__ = [
    "ConfigError",
    "DcganConfig",
    "Degradation",
    "Denoise",
    "EvaluateConfig",
    "ExtractorConfig",
    "ImageConfig",
    "Inpaint",
    "RecipeConfig",
    "RecipeSection",
    "RestoreConfig",
    "Section",
    "TrainConfig",
    "domains_of",
    "read_evaluate_config",
    "read_train_config",
    "read_yaml",
    "recipe_config",
    "validate",
]
