"""The section `dataset` of a config: where images come from, how they are cut and split, what a version has to hold."""

from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from gan_models.config import Section
from gan_models.config.names import DomainName, Name

# Keys of a source that are written only where they are not at their defaults.
_SAID_WHERE_USED = ("image_column", "label_column", "hosts", "max_hours", "pairs", "masks")


class SourceConfig(Section):
    """A place that images come from: in a config a path alone, or a mapping that says more of it.

    A path alone is written as it was read, so that a config which uses nothing more keeps its fingerprint.
    """

    path: str = Field(
        min_length=1,
        description="a folder, an archive (zip, tar, tar.gz), a table (csv, parquet), s3://bucket/prefix, "
        "builtin:digits, builtin:photos, torchvision:CIFAR10 and others",
    )
    domain: DomainName | None = Field(
        None, description="what translation recipes call the kind of its images, such as photo or painting"
    )
    labels: Literal["folder", "file"] = Field("folder", description="what names the label: the sub-folder, or the file")
    split_by: Literal["image", "tile"] = Field(
        "image", description="tile: each tile is in training or evaluation on its own, where images are very few"
    )

    image_column: str = Field("path", min_length=1, description="of a table: where it names the file, or its address")
    label_column: str | None = Field(None, min_length=1, description="of a table: where it says the label")
    hosts: tuple[str, ...] = Field(
        (), description="of a table: hosts of its addresses that may be in this machine's own network"
    )
    max_hours: float = Field(
        12, gt=0, le=24 * 7, description="of a table's addresses, a bucket, torchvision: how long reading may take"
    )
    pairs: dict[DomainName, Annotated[str, Field(min_length=1)]] | None = Field(
        None, min_length=2, max_length=2, description="two domains and the sub-folder of each, as {photo: A, map: B}"
    )
    masks: str | None = Field(
        None, description="of the domains of `pairs`, the one whose files hold each pixel's class: gray or palette"
    )

    @model_validator(mode="after")
    def _says_domains_once(self) -> "SourceConfig":
        if self.pairs and self.domain:
            raise ValueError(f"the source {self.path!r} has 'pairs', which name its domains: leave 'domain' out")
        if self.pairs and len(set(self.pairs.values())) < 2:
            raise ValueError(f"the source {self.path!r} has one folder for both sides of its pairs: name two")
        if self.masks is not None and self.masks not in (self.pairs or {}):
            there = " and ".join(self.pairs) if self.pairs else "none, because it has no 'pairs'"
            raise ValueError(f"the source {self.path!r} has 'masks: {self.masks}', and its domains are: {there}")
        return self

    @model_validator(mode="before")
    @classmethod
    def _of_a_path(cls, content: Any) -> Any:  # noqa: ANN401
        return {"path": content} if isinstance(content, str) else content

    @model_serializer(mode="wrap")
    def _as_it_was_read(self, write: SerializerFunctionWrapHandler) -> Any:  # noqa: ANN401
        if self == SourceConfig(path=self.path):
            return self.path
        fields = SourceConfig.model_fields
        plain = {name for name in _SAID_WHERE_USED if getattr(self, name) == fields[name].default}
        return {name: value for name, value in write(self).items() if name not in plain}


class Expectations(Section):
    """What a dataset has to hold to be a version, besides what every dataset has to."""

    min_images: int = Field(0, ge=0, le=10**12)
    labels: tuple[str, ...] | None = Field(None, min_length=1, description="all there may be, and each has to be there")
    min_per_label: int = Field(0, ge=0, le=10**12, description="images, in both splits together")


class DriftLimits(Section):
    """How far new images may be from those that were there; beyond, the version is refused. None: however far."""

    growth: float | None = Field(None, gt=0, description="images added, as a share of those there")
    labels: float | None = Field(None, ge=0, le=1, description="total variation between the shares of labels")
    brightness: float | None = Field(None, ge=0, description="of the mean, in standard deviations")
    color: float | None = Field(None, ge=0, description="of the channels' means, in standard deviations")
    features: float | None = Field(None, ge=0, description="of contrast, sharpness and directions, in the same")


class DatasetConfig(Section):
    """Where the images come from and how they are cut and split. Several models may share one dataset by its name."""

    name: Name
    sources: tuple[SourceConfig, ...] = Field(min_length=1)
    tile: int | None = Field(None, ge=8, le=65_536, description="cut images into square tiles of so many pixels")
    max_tiles_per_image: int = Field(40, ge=1, le=1_000_000)
    evaluation_share: float = Field(0.25, gt=0, lt=1)
    min_side: int = Field(8, ge=1, le=65_536, description="pixels; smaller images are quarantined")
    max_quarantined_share: float = Field(0.05, ge=0, le=1, description="above it the version is refused")
    max_shrink: float = Field(
        0.5, ge=0, le=1, description="of the last version's images, the share that may be gone; 1 allows all"
    )
    expect: Expectations = Expectations()
    max_drift: DriftLimits = DriftLimits()
    # Said of the images and changing nothing in them: it is no part of a fingerprint.
    license: str | None = Field(None, exclude=True, description="of the images, for the model card")

    @model_validator(mode="after")
    def _splits_by_tiles_that_there_are(self) -> "DatasetConfig":
        by_tile = [source.path for source in self.sources if source.split_by == "tile"]
        if by_tile and self.tile is None:
            raise ValueError(f"the source {by_tile[0]!r} has 'split_by: tile', and the dataset has no 'tile': set one")
        paths = [source.path for source in self.sources]
        twice = sorted({path for path in paths if paths.count(path) > 1})
        if twice:
            raise ValueError(f"the source {twice[0]!r} is named twice; an image has one domain and one label")
        return self
