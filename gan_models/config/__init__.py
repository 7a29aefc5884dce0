"""The typed configuration of models: recipes, training and evaluation.

It imports no PyTorch, so that the platform can read a config in milliseconds. Every section is frozen and refuses
unknown keys, offering the nearest valid one.
"""

from gan_models.config.degradations import Deblur, Degradation, Denoise, Inpaint, SuperResolution, Watermark
from gan_models.config.evaluate import EvaluateConfig, ExtractorConfig, read_evaluate_config
from gan_models.config.health import HealthConfig
from gan_models.config.recipes import RecipeConfig
from gan_models.config.recipes.base import MaskClasses, RecipeSection
from gan_models.config.recipes.cut import CutConfig
from gan_models.config.recipes.cyclegan import CycleganConfig
from gan_models.config.recipes.dcgan import DcganConfig
from gan_models.config.recipes.pix2pix import Pix2PixConfig
from gan_models.config.recipes.r3gan import R3ganConfig
from gan_models.config.recipes.restore import RestoreConfig
from gan_models.config.recipes.style_bank import StyleBankConfig
from gan_models.config.recipes.vae import VaeConfig
from gan_models.config.recipes.wgan_gp import WganGpConfig
from gan_models.config.section import Section, validate
from gan_models.config.speed import SpeedConfig
from gan_models.config.task import Task
from gan_models.config.train import ImageConfig, TrainConfig, read_train_config, recipe_config
from gan_models.config.yaml_file import ConfigError, read_yaml

__all__ = [
    "ConfigError",
    "CutConfig",
    "CycleganConfig",
    "DcganConfig",
    "Deblur",
    "Degradation",
    "Denoise",
    "EvaluateConfig",
    "ExtractorConfig",
    "HealthConfig",
    "ImageConfig",
    "Inpaint",
    "MaskClasses",
    "Pix2PixConfig",
    "R3ganConfig",
    "RecipeConfig",
    "RecipeSection",
    "RestoreConfig",
    "Section",
    "SpeedConfig",
    "StyleBankConfig",
    "SuperResolution",
    "Task",
    "TrainConfig",
    "VaeConfig",
    "Watermark",
    "WganGpConfig",
    "read_evaluate_config",
    "read_train_config",
    "read_yaml",
    "recipe_config",
    "validate",
]
