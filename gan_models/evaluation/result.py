"""What an evaluation says: metrics with intervals, and the protocol that decides what they may be compared with.

It imports neither PyTorch nor NumPy.
"""

import hashlib
import json
from typing import Any

from pydantic import BaseModel, ConfigDict

RESULT = "evaluation.json"
INFLUENCE = "influence.npz"
PICTURES = "pictures"


class Record(BaseModel):
    """Base of what is written down: frozen, and without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


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

    `slice` is the part of the evaluation it is about, such as a degradation or a label, None for all of it.
    `baseline` is what `baseline_name` scores under the same protocol. `is_share`: it is the mean of zeros and ones.
    """

    name: str
    slice: str | None = None
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
        """`<slice>/<name>`, or `<name>` where it is about everything."""
        return f"{self.slice}/{self.name}" if self.slice else self.name


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
    notes: tuple[str, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def by_key(self) -> dict[str, Metric]:
        """The metrics by `Metric.key`, in their order."""
        return {metric.key: metric for metric in self.metrics}


def protocol_id_of(metrics: tuple[Metric, ...]) -> str:
    """The first 12 hex digits of the SHA-256 over every metric's key and protocol, in whatever order they are."""
    return _short_digest(sorted((metric.key, metric.protocol.id) for metric in metrics))


def _short_digest(content: Any) -> str:  # noqa: ANN401
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:12]
