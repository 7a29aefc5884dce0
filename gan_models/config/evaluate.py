"""The section `evaluate`: what is measured, and on what."""

import importlib.metadata
import re
from pathlib import Path

from pydantic import Field, model_validator

from gan_models.config.degradations import Degradation
from gan_models.config.section import Section, validate
from gan_models.config.yaml_file import ConfigError, read_yaml
from gan_models.text import nearest

EXTRACTORS = ("efficientnet_lite0", "inception")
LIBRARIES = ("torchvision", "timm")
_LIBRARY_OF = {"efficientnet_lite0": "timm", "inception": "torch-fidelity"}
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"  # of the original weights
MIN_IMAGES = 10  # on either side of a metric; an interval over fewer says nothing


class ExtractorConfig(Section):
    """The network whose features distances are measured in."""

    name: str = Field(
        "efficientnet_lite0",
        description="efficientnet_lite0, inception (for FID, KID and the Inception score), torchvision/<network> or "
        "timm/<network>",
    )
    weights: Path | None = Field(
        None,
        description="file of weights, of torchvision/ and timm/ always; a relative path is looked for as unseen_style "
        "is. inception without it takes torch.hub's file, and downloads it once where there is none",
    )
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="that the weights have to have")
    size: int | None = Field(
        None,
        ge=32,
        le=2048,
        description="pixels that images are resized to; by default 96 for efficientnet_lite0, else its own",
    )

    @property
    def key(self) -> str:
        """Its part of metric names, `timm_resnet18` of `timm/resnet18`; empty for Inception's original weights."""
        if self.name == "inception":
            return f"inception_{self.sha256[:8]}" if self.sha256 not in (None, INCEPTION_SHA256) else ""
        return re.sub(r"[^a-z0-9]+", "_", self.name.lower()).strip("_")

    @model_validator(mode="after")
    def _is_a_network_with_weights(self) -> "ExtractorConfig":
        library, slash, network = self.name.partition("/")
        if slash and library in LIBRARIES and network:
            if self.weights is None:
                raise ValueError(f"{self.name} needs weights, the file of them; nothing is downloaded for it")
            return self
        if slash or self.name not in EXTRACTORS:
            known = (*EXTRACTORS, *(f"{library}/<network>" for library in LIBRARIES))
            near = nearest(self.name, known)
            hint = f", did you mean '{near}'?" if near else ""
            raise ValueError(f"'{self.name}' is none of {', '.join(known)}{hint}")
        if self.name == "efficientnet_lite0" and (self.weights or self.sha256):
            raise ValueError("the weights of efficientnet_lite0 come with a package; leave out weights and sha256")
        if self.name == "inception" and self.size is not None:
            raise ValueError("inception resizes images to 299 on its own; leave out size")
        return self


class EvaluateConfig(Section):
    """What is measured, on how many images; part of every number's protocol."""

    num_images: int = Field(
        1_000, ge=MIN_IMAGES, le=10_000_000, description="generated images, or evaluation crops at most"
    )
    seed: int = Field(0, ge=0, lt=2**63)
    batch_size: int = Field(64, ge=1, le=65_536)
    intervals: bool = Field(
        True,
        description="false: estimates alone, which are never called better or worse; images beyond 10,000 then count "
        "for the Fréchet distance of generators only, in memory that does not grow with them",
    )
    extractor: ExtractorConfig = ExtractorConfig()
    degradations: tuple[Degradation, ...] = Field((), description="editing models: one slice of the metrics each")

    unseen_style: Path | None = Field(
        None,
        description="style banks: a picture that is in no training set; a relative path is looked for in the folder of "
        "the config file, then in each folder above it, such as the project's",
    )

    @model_validator(mode="after")
    def _slices_are_told_apart(self) -> "EvaluateConfig":
        names = [d.name for d in self.degradations]
        if len(set(names)) < len(names):
            raise ValueError(f"degradations need different names to be told apart, these are {names}")
        return self


def library_version(extractor: str) -> str:
    """Return the package that builds an extractor's network, and its version, as "timm 1.0.2"."""
    library = _LIBRARY_OF.get(extractor, extractor.partition("/")[0])
    return f"{library} {importlib.metadata.version(library)}"


def read_evaluate_config(path: Path) -> EvaluateConfig:
    """Return the `evaluate` section of a model's config file, its paths made absolute.

    Raises:
        ConfigError: it is not valid, or a file that it names is not there.
    """
    config = validate(EvaluateConfig, read_yaml(path).get("evaluate", {}), f"{path}, section evaluate")
    if config.unseen_style is not None:
        config = config.model_copy(update={"unseen_style": _found(config.unseen_style, "unseen_style", path)})
    if config.extractor.weights is not None:
        weights = _found(config.extractor.weights, "extractor.weights", path)
        config = config.model_copy(update={"extractor": config.extractor.model_copy(update={"weights": weights})})
    return config


def _found(file: Path, key: str, config: Path) -> Path:
    """`file` next to the config file, or in a folder above it."""
    places = [folder / file for folder in config.resolve().parents]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise ConfigError(
            f"{config}, section evaluate: {key} is {file}, and there is no such file in {config.resolve().parent} nor "
            "in a folder above it"
        )
    return found
