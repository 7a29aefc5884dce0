"""What the sections of recipes share that turn images of one domain into images of another."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from gan_models.config.bounds import Blocks, Width
from gan_models.config.names import DomainName
from gan_models.config.recipes.base import RecipeSection
from gan_models.config.task import Task


class UnpairedSection(RecipeSection):
    """What recipes without pairs share: two domains, and a ResNet generator and PatchGAN of Zhu et al. 2017."""

    task: ClassVar[Task] = "translate"
    instance_norm: ClassVar[bool] = True

    source_domain: DomainName = Field("photo", description="the domain that images are turned from")
    target_domain: DomainName = Field("painting", description="the domain that they are turned into")
    width: Width = Field(64, description="channels at the finest resolution")
    blocks: Blocks = Field(9, description="residual blocks; the paper has 6 at 128 pixels and 9 at 256")
    discriminator_width: Width = 64
    discriminator_stages: int = Field(3, ge=1, le=5, description="3 is the 70x70 PatchGAN")
    discriminator_norm: Literal["instance", "spectral", "none"] = "instance"
    loss: Literal["non_saturating", "lsgan", "hinge"] = "lsgan"

    @property
    def domains(self) -> tuple[str | None, str | None]:
        """The domain that images are turned from, and the one they are turned into."""
        return self.source_domain, self.target_domain

    @property
    def size_multiple(self) -> int:
        """What image sizes have to be multiples of: the generator halves twice."""
        return 4

    @model_validator(mode="after")
    def _has_two_domains(self) -> "UnpairedSection":
        refuse_one_domain(self.source_domain, self.target_domain)
        return self


def refuse_one_domain(source: str, target: str) -> None:
    """Raise a ValueError where the two domains of a section are one."""
    if source == target:
        raise ValueError(f"source_domain and target_domain are both '{source}'; they have to differ")
