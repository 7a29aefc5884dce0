"""Sections of the recipes that turn images of one kind into images of another."""

from collections import Counter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from gan_models.config.bounds import Blocks, Width
from gan_models.config.names import DomainName
from gan_models.config.recipe import MaskClasses, RecipeSection, Task

ConditionKind = Literal["edges", "gray", "image", "tones"]


def _sorted_by_value(classes: dict[int, str]) -> dict[int, str]:
    twice = [name for name, number in Counter(classes.values()).items() if number > 1]
    if twice:
        raise ValueError(f"the class '{twice[0]}' has several values; give each value a name of its own")
    return dict(sorted(classes.items()))


_Value = Annotated[int, Field(ge=0, le=255)]
_ClassName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
_Classes = Annotated[
    dict[_Value, _ClassName],
    Field(min_length=2, max_length=255),
    AfterValidator(_sorted_by_value),
    BeforeValidator(lambda classes: dict(enumerate(classes)) if isinstance(classes, list | tuple) else classes),
]


class Pix2PixConfig(RecipeSection):
    """Isola et al. 2017 (arXiv 1611.07004). It learns from the pairs of a dataset where both domains are named; without
    them both sides of a pair are made from the same photograph.
    """

    task: ClassVar[Task] = "translate"

    name: Literal["pix2pix"] = "pix2pix"
    source_domain: DomainName | None = Field(None, description="of the dataset's pairs, the side that is given")
    target_domain: DomainName | None = Field(None, description="the side that it is to become")
    input: Literal["edges", "gray", "image"] = Field("edges", description="what is given, made of an image")
    target: Literal["image", "tones"] = Field(
        "image", description="what it is to become, made of the same image; tones: its dark, middle and light parts"
    )
    classes: _Classes | None = Field(
        None,
        description="where the target domain holds masks, the name of each value in them, as {0: background, 1: cat} "
        "or, counted from 0, [background, cat]: the model tells the class of each pixel",
    )
    ignore: _Value | None = Field(None, description="the value of mask pixels that are neither learned from nor judged")
    width: Width = Field(64, description="channels at the finest resolution; doubled at coarser ones, up to 8 x")
    num_stages: int = Field(8, ge=2, le=8, description="each halves the resolution; 8 takes 256 pixels to one")
    dropout: float = Field(0.5, ge=0, lt=1, description="in the three coarsest decoder stages, in training alone")
    upsample: Literal["transposed", "nearest"] = Field(
        "transposed", description="nearest, then a convolution, leaves no checkerboards"
    )
    discriminator_width: Width = 64
    discriminator_stages: int = Field(3, ge=1, le=5, description="3 is the 70x70 PatchGAN")
    discriminator_norm: Literal["instance", "spectral", "none"] = "instance"
    l1_weight: float = Field(100.0, ge=0, description="of the distance to the target, where it is a picture")
    cross_entropy_weight: float = Field(100.0, ge=0, description="of the loss over `classes`, where there are some")
    adversarial_weight: float = Field(
        1.0, ge=0, description="0 trains without a discriminator: the default with classes"
    )
    loss: Literal["non_saturating", "lsgan", "hinge"] = "non_saturating"

    @property
    def domains(self) -> tuple[str | None, str | None]:
        """The two sides of the pairs, where it learns from those of the dataset."""
        return self.source_domain, self.target_domain

    @property
    def paired_domains(self) -> tuple[str, str] | None:
        """Both, where they are named."""
        if self.source_domain is None or self.target_domain is None:
            return None
        return self.source_domain, self.target_domain

    @property
    def size_multiple(self) -> int:
        """What image sizes have to be multiples of."""
        return int(2**self.num_stages)

    @property
    def mask_classes(self) -> MaskClasses | None:
        """What the masks of the target domain say; None where the model makes pictures."""
        if self.classes is None:
            return None
        return MaskClasses(tuple(self.classes), tuple(self.classes.values()), self.ignore)

    @model_validator(mode="before")
    @classmethod
    def _takes_pairs_as_they_are(cls, content: Any) -> Any:  # noqa: ANN401
        if isinstance(content, dict) and (content.get("source_domain") or content.get("target_domain")):
            without = {"adversarial_weight": 0.0} if content.get("classes") else {}
            return {"input": "image", "target": "image", **without, **content}
        return content

    @model_validator(mode="after")
    def _has_something_to_learn(self) -> "Pix2PixConfig":
        source, target = self.source_domain, self.target_domain
        if source is None and target is None:
            if self.input == self.target:
                raise ValueError(
                    "the input and the target are both the image; choose the input edges or gray, or name the "
                    "source_domain and the target_domain of a dataset's pairs"
                )
            return self._with_classes_of_pairs()
        if source is None or target is None:
            missing, there = ("source_domain", target) if source is None else ("target_domain", source)
            raise ValueError(f"a pair has two sides, and only '{there}' is named; name the {missing} too, or neither")
        _refuse_one_domain(source, target)
        for name in ("input", "target"):
            if (kind := getattr(self, name)) != "image":
                raise ValueError(
                    f"the pairs of '{source}' and '{target}' are taken as they are, and {name} is {kind}; leave {name} "
                    "out, or leave the domains out to make both sides from one image"
                )
        return self._with_classes_of_pairs()

    def _with_classes_of_pairs(self) -> "Pix2PixConfig":
        """Refuse classes without masks that have them, and what goes with the other kind of target alone."""
        if self.classes is None:
            if self.ignore is not None:
                raise ValueError(f"'ignore: {self.ignore}' is a value of masks; name their 'classes' too")
        elif self.target_domain is None:
            raise ValueError(
                "'classes' are those of masks in the data; name the source_domain and the target_domain of pairs of "
                "photographs and masks"
            )
        elif self.ignore in self.classes:
            raise ValueError(f"the value {self.ignore} is to be ignored and is the class '{self.classes[self.ignore]}'")
        foreign = "cross_entropy_weight" if self.classes is None else "l1_weight"
        if getattr(self, foreign) != type(self).model_fields[foreign].default:
            kind, own = ("pictures", "l1_weight") if self.classes is None else ("masks", "cross_entropy_weight")
            raise ValueError(f"'{foreign}' changes nothing where the targets are {kind}; set '{own}'")
        return self


class _UnpairedConfig(RecipeSection):
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
    def _has_two_domains(self) -> "_UnpairedConfig":
        _refuse_one_domain(self.source_domain, self.target_domain)
        return self


def _refuse_one_domain(source: str, target: str) -> None:
    if source == target:
        raise ValueError(f"source_domain and target_domain are both '{source}'; they have to differ")


class CycleganConfig(_UnpairedConfig):
    """Zhu et al. 2017 (arXiv 1703.10593): both directions at once, each undoing the other."""

    name: Literal["cyclegan"] = "cyclegan"
    cycle_weight: float = Field(10.0, ge=0)
    identity_weight: float = Field(0.5, ge=0, description="as a share of cycle_weight")
    pool_size: int = Field(50, ge=0, le=65_536, description="past fakes shown again, rounded up to whole batches")
    antialias: bool = Field(False, description="resample with the filter [1,2,1], as cut does, against checkerboards")
    residual: bool = Field(
        False, description="generators learn what to add to an image: not the paper's, for runs of a few thousand steps"
    )


class CutConfig(_UnpairedConfig):
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
