"""What a model can be measured by, known from its config alone: promotion rules are checked against it when read.

It imports no PyTorch. That it agrees with what the evaluators do is a test of each of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from gan_models.config import Deblur, Degradation, EvaluateConfig, Inpaint, RecipeConfig, TrainConfig
from gan_models.evaluation.degradations import degradations_of
from gan_models.evaluation.metrics.catalog import METRICS
from gan_models.evaluation.metrics.families import metric_name
from gan_models.evaluation.result import Slice, SliceKind, key_of
from gan_models.text import nearest

MAX_LISTED = 12  # metrics that a refusal names
PAIRED = ("psnr", "psnr_gain_identity", "psnr_gain_mean", "ssim", "ssim_gain_identity", "ssim_gain_mean")
OVERLAPS = ("tone_iou", "tone_iou_gain_identity", "tone_iou_gain_mean")
SEGMENTED = ("mean_iou", "mean_iou_gain", "pixel_accuracy")
RESTORED = ("psnr", "psnr_gain", "ssim", "ssim_gain", "ms_ssim", "psnr_gain_classical", "ssim_gain_classical")
OF_LUMA = ("psnr_y", "ssim_y", "ms_ssim_y")
OF_HOLES = ("psnr_hole", "psnr_hole_gain_nearest", "psnr_hole_gain_mean_color")
IN_STAGES = ("feature_distance_efficientnet_lite0", "lpips")
STYLIZED = (
    *("style_matched", "styles_matched", "alpha0_psnr", "alpha_monotonic", "styles_monotonic"),
    *("content_ssim", "content_distance", "art_distance"),
)


class Part(NamedTuple):
    """Metrics of one slice, of all slices of a kind whose names only the data knows, or of the whole (neither)."""

    names: tuple[str, ...]
    slice: Slice | None = None
    kind: SliceKind | None = None


@dataclass(frozen=True)
class Measurable:
    """The metrics of a config's models.

    task, parts: what is measured of them
    image_size, num_images: that it is measured on
    """

    task: str
    parts: tuple[Part, ...]
    image_size: int
    num_images: int

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the metrics whose slices the config knows."""
        return tuple(key_of(name, part.slice) for part in self.parts if part.kind is None for name in part.names)

    def why_not(self, key: str) -> str | None:
        """Return why nothing has this key, with the nearest that there is; None where something may have it."""
        name = self.name_of(key)
        return self._not_known(key) if name is None else self._too_small(key, name)

    def name_of(self, key: str) -> str | None:
        """Return the name of the metric that a key is of; None where nothing has it."""
        return next((name for part in self.parts for name in part.names if _is_of(key, name, part)), None)

    def _too_small(self, key: str, name: str) -> str | None:
        side, num = METRICS[name].min_side, METRICS[name].min_images
        if self.image_size < side:
            return f"'{key}' takes images of {side} pixels a side or more, and train.image.size is {self.image_size}"
        if num is not None and self.num_images < num:
            return f"'{key}' takes {num} images or more, and evaluate.num_images is {self.num_images}"
        return None

    def _not_known(self, key: str) -> str:
        near = nearest(key, self._near(key))
        if near:
            return f"there is no metric '{key}' of a model to {self.task} images here, did you mean '{near}'?"
        listed = list(islice(self._listed(key), MAX_LISTED + 1))
        more = ", ..." if len(listed) > MAX_LISTED else ""
        return (
            f"there is no metric '{key}' of a model to {self.task} images with this section evaluate; "
            f"there are: {', '.join(listed[:MAX_LISTED])}{more}"
        )

    def _near(self, key: str) -> Iterator[str]:
        """Yield all keys that may have been meant."""
        yield from self.keys
        asked = key.rpartition("/")[0]
        for part in self.parts:
            if part.kind and asked:
                yield from (f"{asked}/{name}" for name in part.names if _is_of(f"{asked}/{name}", name, part))

    def _listed(self, key: str) -> Iterator[str]:
        """Yield what there is: of the metric in several slices, if `key` is one, or else of all."""
        own = [found for found in self.keys if found.endswith(f"/{key}")]
        yield from own or self.keys
        for part in self.parts:
            if part.kind:
                yield from (key_of(name, Slice(kind=part.kind, name="NAME")) for name in part.names)


def _is_of(key: str, name: str, part: Part) -> bool:
    if part.kind is None:
        return key == key_of(name, part.slice)
    before, after = Slice(kind=part.kind, name="").key, f"/{name}"
    return key.startswith(before) and key.endswith(after) and len(key) > len(before) + len(after)


def measurable(train: TrainConfig, evaluate: EvaluateConfig) -> Measurable:
    """Return what models of a config are measured by.

    Raises:
        EvaluationError: two degradations that they are measured on have one name.
    """
    recipe = train.recipe
    parts = tuple(_parts(recipe, evaluate, train.image.channels))
    return Measurable(recipe.task, parts, train.image.size, evaluate.num_images)


def _parts(recipe: RecipeConfig, evaluate: EvaluateConfig, channels: int) -> Iterator[Part]:
    def family(*names: str) -> tuple[str, ...]:
        return tuple(metric_name(name, evaluate.extractor.key) for name in names)

    distances = family("fd", "kd")
    if recipe.task == "generate":
        yield Part((*distances, *family("precision", "recall", "density", "coverage"), "diversity"))
        yield Part(("nearest_training_distance", "classes_present"))
        if evaluate.extractor.name == "inception":
            yield Part(family("is"))
        if recipe.name == "vae":
            yield Part(("reconstruction_psnr",))
        if recipe.uses_labels:
            yield Part(("label_accuracy",))
            yield Part(("diversity", "label_accuracy"), kind="label")
    elif recipe.name == "restore":
        for degradation in degradations_of(recipe, evaluate):
            names = (*RESTORED, *(OF_LUMA if channels > 1 else ()), *_of_kind(degradation), *distances, "diversity")
            yield Part((*names, *IN_STAGES), Slice(kind="degradation", name=degradation.name))
    elif recipe.name == "pix2pix":
        if recipe.mask_classes:
            yield Part(SEGMENTED)
            for name in recipe.mask_classes.names:
                yield Part(("iou",), Slice(kind="class", name=name))
        else:
            yield Part(OVERLAPS if recipe.target == "tones" else (*PAIRED, *distances, "diversity", *IN_STAGES))
    elif recipe.task == "translate":
        names = (*distances, "content_ssim", "diversity", *IN_STAGES)
        if recipe.name == "cyclegan":
            names = (*names, "cycle_psnr")
            yield Part(names, Slice(kind="direction", name="reverse"))
        yield Part(names)
    else:
        yield Part((*STYLIZED, *distances))
        yield Part(("style_distance", "style_matched", "content_ssim"), kind="style")
        if evaluate.unseen_style:
            yield Part(("style_distance", "content_ssim"), Slice(kind="unseen", name="style"))


def _of_kind(degradation: Degradation) -> tuple[str, ...]:
    if isinstance(degradation, Inpaint):
        return OF_HOLES
    return ("psnr_gain_classical_blind", "ssim_gain_classical_blind") if isinstance(degradation, Deblur) else ()
