"""Section of the recipe `cut`."""

from typing import Literal

from pydantic import Field

from gan_models.config.bounds import Width
from gan_models.config.recipes.translation import UnpairedSection


class CutConfig(UnpairedSection):
    """Park et al. 2020 (arXiv 2007.15651): one direction; patches stay recognizable as what they were."""

    name: Literal["cut"] = "cut"
    fast: bool = Field(False, description="FastCUT: contrastive weight 10, no identity term, mirrored inputs")
    contrastive_weight: float | None = Field(None, gt=0, description="1 for CUT and 10 for FastCUT where left out")
    num_patches: int = Field(256, ge=2, le=65_536, description="of an image, in each of the five layers")
    head_width: Width = 256
    temperature: float = Field(0.07, gt=0)
    antialias: bool = Field(True, description="resample with the filter [1,2,1]; without, by strided convolutions")

    @property
    def weight_of_contrast(self) -> float:
        """`contrastive_weight`, or the paper's."""
        return self.contrastive_weight or (10.0 if self.fast else 1.0)
