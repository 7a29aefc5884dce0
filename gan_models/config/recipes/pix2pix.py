"""Section of the recipe `pix2pix`."""

from collections import Counter
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from gan_models.config.bounds import Width
from gan_models.config.names import DomainName
from gan_models.config.recipes.base import MaskClasses, RecipeSection
from gan_models.config.recipes.translation import refuse_one_domain
from gan_models.config.task import Task


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
        refuse_one_domain(source, target)
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
