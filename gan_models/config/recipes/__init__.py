"""The section of each recipe, one a file, named as configs name the recipe; and the list of them.

No fingerprint holds this list: that of a model holds the files of its own recipe.
"""

from typing import Annotated

from pydantic import Field

from gan_models.config.recipes.cut import CutConfig
from gan_models.config.recipes.cyclegan import CycleganConfig
from gan_models.config.recipes.dcgan import DcganConfig
from gan_models.config.recipes.pix2pix import Pix2PixConfig
from gan_models.config.recipes.r3gan import R3ganConfig
from gan_models.config.recipes.restore import RestoreConfig
from gan_models.config.recipes.style_bank import StyleBankConfig
from gan_models.config.recipes.vae import VaeConfig
from gan_models.config.recipes.wgan_gp import WganGpConfig

RecipeConfig = Annotated[
    DcganConfig
    | WganGpConfig
    | R3ganConfig
    | VaeConfig
    | Pix2PixConfig
    | CycleganConfig
    | CutConfig
    | RestoreConfig
    | StyleBankConfig,
    Field(discriminator="name"),
]
