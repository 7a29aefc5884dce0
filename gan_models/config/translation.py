"""Sections of the recipes that turn images of one kind into images of another."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from gan_models.config.recipe import RecipeSection

ConditionKind = Literal["edges", "grey", "image", "segmentation"]


class Pix2PixConfig(RecipeSection):
    """Isola et al. 2017 (arXiv 1611.07004). Both sides of a pair are made from the same photograph."""

    name: Literal["pix2pix"] = "pix2pix"
    input: Literal["edges", "grey", "image"] = "edges"
    target: Literal["image", "segmentation"] = "image"
    width: int = Field(64, ge=4, description="channels at the finest resolution; doubled at coarser ones, up to 8 x")
    num_stages: int = Field(8, ge=2, le=8, description="each halves the resolution; 8 takes 256 pixels to one")
    dropout: float = Field(0.5, ge=0, lt=1, description="in the three coarsest decoder stages, in training alone")
    upsample: Literal["transposed", "nearest"] = Field(
        "transposed", description="nearest, then a convolution, leaves no checkerboards"
    )
    discriminator_width: int = Field(64, ge=4)
    discriminator_stages: int = Field(3, ge=1, le=5, description="3 is the 70x70 PatchGAN")
    discriminator_norm: Literal["instance", "spectral", "none"] = "instance"
    l1_weight: float = Field(100.0, ge=0)
    adversarial_weight: float = Field(1.0, ge=0, description="0 trains without a discriminator")
    loss: Literal["non_saturating", "lsgan", "hinge"] = "non_saturating"

    @property
    def size_multiple(self) -> int:
        """What image sizes have to be multiples of."""
        return int(2**self.num_stages)

    @model_validator(mode="after")
    def _has_something_to_learn(self) -> "Pix2PixConfig":
        if self.input == self.target:
            raise ValueError("the input and the target are both the image; choose the input edges or grey")
        return self


class _UnpairedConfig(RecipeSection):
    """What recipes without pairs share: two domains, and a ResNet generator and PatchGAN of Zhu et al. 2017."""

    instance_norm: ClassVar[bool] = True

    source_domain: str = Field("photo", description="the domain that images are turned from")
    target_domain: str = Field("painting", description="the domain that they are turned into")
    width: int = Field(64, ge=4, description="channels at the finest resolution")
    blocks: int = Field(9, ge=1, description="residual blocks; the paper has 6 at 128 pixels and 9 at 256")
    discriminator_width: int = Field(64, ge=4)
    discriminator_stages: int = Field(3, ge=1, le=5, description="3 is the 70x70 PatchGAN")
    discriminator_norm: Literal["instance", "spectral", "none"] = "instance"
    loss: Literal["non_saturating", "lsgan", "hinge"] = "lsgan"

    @property
    def size_multiple(self) -> int:
        """What image sizes have to be multiples of: the generator halves twice."""
        return 4

    @model_validator(mode="after")
    def _has_two_domains(self) -> "_UnpairedConfig":
        if self.source_domain == self.target_domain:
            raise ValueError(f"source_domain and target_domain are both '{self.source_domain}'; they have to differ")
        return self


class CycleganConfig(_UnpairedConfig):
    """Zhu et al. 2017 (arXiv 1703.10593): both directions at once, each undoing the other."""

    name: Literal["cyclegan"] = "cyclegan"
    cycle_weight: float = Field(10.0, ge=0)
    identity_weight: float = Field(0.5, ge=0, description="as a share of cycle_weight")
    pool_size: int = Field(50, ge=0, description="past fakes shown again, rounded up to whole batches")
    antialias: bool = Field(False, description="resample with the filter [1,2,1], as cut does, against checkerboards")
    residual: bool = Field(
        False, description="generators learn what to add to an image: not the paper's, for runs of a few thousand steps"
    )


class CutConfig(_UnpairedConfig):
    """Park et al. 2020 (arXiv 2007.15651): one direction; patches stay recognisable as what they were."""

    name: Literal["cut"] = "cut"
    fast: bool = Field(False, description="FastCUT: contrastive weight 10, no identity term, mirrored inputs")
    contrastive_weight: float | None = Field(None, gt=0, description="1 for CUT and 10 for FastCUT where left out")
    num_patches: int = Field(256, ge=2, description="of an image, in each of the five layers")
    head_width: int = Field(256, ge=4)
    temperature: float = Field(0.07, gt=0)
    antialias: bool = Field(True, description="resample with the filter [1,2,1]; without, by strided convolutions")

    @property
    def weight_of_contrast(self) -> float:
        """`contrastive_weight`, or the paper's."""
        return self.contrastive_weight or (10.0 if self.fast else 1.0)
