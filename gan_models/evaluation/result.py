"""What an evaluation says: metrics with intervals, and the protocol that decides what they may be compared with.

It imports neither PyTorch nor NumPy.
"""

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

RESULT = "evaluation.json"
INFLUENCE = "influence.npz"
PICTURES = "pictures"

SliceKind = Literal["label", "style", "class", "degradation", "direction", "unseen"]
_KEYS: dict[SliceKind, str] = {
    "label": "label_{}",
    "style": "style_{}",
    "class": "class_{}",
    "degradation": "{}",
    "direction": "{}",
    "unseen": "unseen",
}
MAX_NAME_IN_KEY = 100  # characters; MLflow takes 250 for the whole key


class Record(BaseModel):
    """Base of what is written down: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Slice(Record):
    """The part of an evaluation that a metric is about: one label, class of pixels, style, degradation or direction.

    A `name` comes from the data and may be any text; `key` is rendered from it and never read back. The kind "unseen"
    is a style that no training has seen, named "style".
    """

    kind: SliceKind
    name: str

    @property
    def key(self) -> str:
        """The part of a metric's key that MLflow takes whatever the name is: other names have other keys."""
        return _KEYS[self.kind].format(_in_key(self.name))

    @property
    def is_one_of_many(self) -> bool:
        """Whether there may be hundreds of its kind, as of labels, which nobody reads one by one."""
        return self.kind in ("label", "style", "class")

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def _in_key(name: str) -> str:
    """Return a name with all but letters, digits and `_-. ` as `:code:`, and a digest at the end of a long one."""
    rendered = "".join(each if each.isalnum() or each in "_-. " else f":{ord(each):x}:" for each in name)
    if len(rendered) <= MAX_NAME_IN_KEY:
        return rendered
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{rendered[: MAX_NAME_IN_KEY - len(digest)]}:{digest}"  # longer by one than any name that is not cut


def key_of(name: str, part: Slice | None) -> str:
    """Return the key of a metric: `<slice>/<name>`, or `<name>` where it is about everything."""
    return f"{part.key}/{name}" if part else name


class Protocol(Record):
    """Everything that decides whether two numbers may be compared.

    metric: its name; `definition` is raised when its meaning changes
    num_images, num_real: on the model's side, and on the real side where there is one
    split_digest: of the images evaluated on, and `training_digest` of the training images, where those take part
    image: size, channels and fit of the images, as "32x32x1 resize"
    resize, dtype: on the way into the extractor and inside it
    degradation: how the inputs were made, None where there are none
    judge: the classifier of labels
    """

    metric: str
    definition: int = 1
    num_images: int
    num_real: int | None = None
    seed: int
    split_digest: str
    training_digest: str | None = None
    image: str
    extractor: str | None = None
    extractor_sha256: str | None = None
    resize: str | None = None
    dtype: str = "uint8"
    degradation: dict[str, Any] | None = None
    judge: str | None = None

    @property
    def id(self) -> str:
        """The first 12 hex digits of the SHA-256 of its canonical JSON."""
        return _short_digest(self.model_dump())


class Metric(Record):
    """A number with its 95% interval [low, high].

    `slice` is the part of the evaluation it is about, None for all of it.
    `baseline` is what `baseline_name` scores under the same protocol. `is_share`: it is the mean of zeros and ones.
    """

    name: str
    slice: Slice | None = None
    value: float
    low: float
    high: float
    num_images: int
    higher_is_better: bool | None
    unit: str = ""
    baseline: float | None = None
    baseline_name: str | None = None
    protocol: Protocol
    note: str = ""
    is_share: bool = False

    @property
    def key(self) -> str:
        """What it is called in rules, tables and MLflow."""
        return key_of(self.name, self.slice)


class LeftOut(Record):
    """A metric that an evaluation has not, and why, as "takes 64 images or more, and these are 12".

    `smallest`: of images, or of pixels a side, from which number on it is measured; None where no number would do.
    """

    name: str
    slice: Slice | None = None
    reason: str
    smallest: int | None = None

    @property
    def key(self) -> str:
        """What the metric would be called, as `Metric.key`."""
        return key_of(self.name, self.slice)


class Picture(Record):
    """A picture to look at: `file`, relative to the evaluation, such as `pictures/samples.png`.

    `paired`: under the same protocol, it shows what another model did with the same inputs.
    """

    file: str
    title: str
    caption: str = ""
    paired: bool = False


class EvaluationResult(Record):
    """`evaluation.json`. `protocol_id` covers every metric: equal ids mean that all of them can be compared."""

    bundle_digest: str
    task: str
    protocol_id: str
    metrics: tuple[Metric, ...]
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def by_key(self) -> dict[str, Metric]:
        """Return the metrics by `Metric.key`, in their order."""
        return {metric.key: metric for metric in self.metrics}


def protocol_id_of(metrics: tuple[Metric, ...]) -> str:
    """Return the first 12 hex digits of the SHA-256 over every metric's key and protocol, in any order."""
    return _short_digest(sorted((metric.key, metric.protocol.id) for metric in metrics))


def _short_digest(content: Any) -> str:  # noqa: ANN401
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
