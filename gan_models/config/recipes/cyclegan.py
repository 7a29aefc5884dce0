"""Section of the recipe `cyclegan`."""

from typing import Literal

from pydantic import Field

from gan_models.config.recipes.translation import UnpairedSection


class CycleganConfig(UnpairedSection):
    """Zhu et al. 2017 (arXiv 1703.10593): both directions at once, each undoing the other."""

    name: Literal["cyclegan"] = "cyclegan"
    cycle_weight: float = Field(10.0, ge=0)
    identity_weight: float = Field(0.5, ge=0, description="as a share of cycle_weight")
    pool_size: int = Field(50, ge=0, le=65_536, description="past fakes shown again, rounded up to whole batches")
    antialias: bool = Field(False, description="resample with the filter [1,2,1], as cut does, against checkerboards")
    residual: bool = Field(
        False, description="generators learn what to add to an image: not the paper's, for runs of a few thousand steps"
    )
