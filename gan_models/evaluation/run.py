"""One evaluation from bundle to files: what `python -m gan_models.evaluation` does."""

import io
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from gan_models.bundles.bundle import Bundle, load_bundle
from gan_models.config import EvaluateConfig
from gan_models.evaluation.collector import Progress
from gan_models.evaluation.errors import NonFiniteError
from gan_models.evaluation.features.cache import FeatureCache
from gan_models.evaluation.features.extractor import load_extractor
from gan_models.evaluation.features.near_duplicates import near_duplicates
from gan_models.evaluation.figures.pictures import NamedPicture
from gan_models.evaluation.result import INFLUENCE, PICTURES, RESULT, EvaluationResult, Metric, protocol_id_of
from gan_models.evaluation.stats.intervals import Array
from gan_models.evaluation.tasks import evaluator_of
from gan_models.evaluation.tasks.base import Assignment
from gan_models.files import TEMPORARY_SUFFIX, sync, write_durably

PROGRESS = "progress.jsonl"
THROUGHPUT = "throughput.json"  # next to the result, which is the same for the same inputs: a speed never is


class Evaluated(NamedTuple):
    """A result, the influence values of each metric by key, float64 [N], the pictures, and images sampled a second."""

    result: EvaluationResult
    influence: dict[str, Array]
    pictures: list[NamedPicture]
    throughput: float | None


class ProgressLog:
    """Appends a line {"done", "total", "what"} to a file at each step, for whoever watches."""

    def __init__(self, path: Path, steps: tuple[str, ...]) -> None:
        self._path = path
        self._steps = steps
        path.unlink(missing_ok=True)

    def __call__(self, what: str) -> None:
        """Append the line of a step that begins now."""
        line = {"done": self._steps.index(what), "total": len(self._steps), "what": what}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def finish(self) -> None:
        """Append that all steps are done."""
        self._steps = (*self._steps, "done")
        with self._path.open("a", encoding="utf-8") as file:
            total = len(self._steps) - 1
            file.write(json.dumps({"done": total, "total": total, "what": "done"}) + "\n")


def evaluate_to(
    out: Path,
    bundle_directory: Path,
    data: Path,
    config: EvaluateConfig,
    *,
    cache: Path | None = None,
    device: str = "auto",
) -> EvaluationResult:
    """Evaluate a bundle and write `evaluation.json`, `influence.npz` and `pictures/` into `out`.

    `evaluation.json` is written last: while it is there, everything it speaks of is there too. The same inputs give
    the same files.

    Args:
        out: directory to be written to, made where there is none.
        bundle_directory: of the trained model.
        data: directory of the dataset's shards, of which the evaluation split is used.
        config: what is measured.
        cache: directory in which features of real images are kept; None: they are not.
        device: "cpu", "cuda", or "auto", which is a GPU where there is one.

    Raises:
        BundleError, DataError, EvaluationError: each with one line that says what to do.
    """
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    bundle = load_bundle(bundle_directory, chosen)
    out.mkdir(parents=True, exist_ok=True)
    progress = ProgressLog(out / PROGRESS, evaluator_of(bundle.task).steps(bundle, config))
    evaluated = evaluate(bundle, data, config, cache=cache, progress=progress)
    write(evaluated, out)
    progress.finish()
    return evaluated.result


def evaluate(
    bundle: Bundle, data: Path, config: EvaluateConfig, *, cache: Path | None, progress: Progress
) -> Evaluated:
    """Measure what the bundle does on the evaluation split of the dataset in `data`.

    Args:
        cache: where features of real images are kept, None for nowhere.
        progress: called with each step of the evaluation of the bundle's task.

    Raises:
        InsufficientDataError, NonFiniteError, EvaluationError, DataError.
    """
    _refuse_non_finite_weights(bundle.network)
    watch = bundle.network.register_forward_hook(_refuse_non_finite_images)
    try:
        extractor = load_extractor(config.extractor, bundle.device)
        features = FeatureCache(cache, extractor)
        evaluator = evaluator_of(bundle.task)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):  # a GPU gives what a CPU does
            measured, pictures = evaluator.evaluate(Assignment(bundle, data, config, extractor, features, progress))
        copies = near_duplicates(bundle, data, features, config.batch_size)
    finally:
        watch.remove()
    metrics = tuple(measured.metrics)
    result = EvaluationResult(
        bundle_digest=bundle.digest,
        task=bundle.task,
        protocol_id=protocol_id_of(metrics),
        metrics=metrics,
        left_out=tuple(measured.left_out),
        notes=tuple(dict.fromkeys((*copies, *_notes(metrics), *measured.notes))),
        pictures=tuple(named.picture for named in pictures),
    )
    return Evaluated(result, measured.influence, pictures, measured.throughput)


def write(evaluated: Evaluated, out: Path) -> None:
    """Replace the evaluation in `out`; whenever this stops, there is a whole one or none."""
    staged = out / (PICTURES + TEMPORARY_SUFFIX)
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir()
    for picture, content in evaluated.pictures:
        write_durably(staged / Path(picture.file).name, content)
    influence = io.BytesIO()
    np.savez(influence, **evaluated.influence)  # type: ignore[arg-type]
    (out / RESULT).unlink(missing_ok=True)
    sync(out)
    shutil.rmtree(out / PICTURES, ignore_errors=True)
    staged.replace(out / PICTURES)
    write_durably(out / INFLUENCE, influence.getvalue())
    if evaluated.throughput is not None:
        write_durably(out / THROUGHPUT, json.dumps({"images_per_second": evaluated.throughput}).encode())
    write_durably(out / RESULT, (evaluated.result.model_dump_json(indent=2) + "\n").encode())


def _notes(metrics: tuple[Metric, ...]) -> list[str]:
    return [f"{metric.name}: {metric.note}" for metric in metrics if metric.note]


def _refuse_non_finite_weights(network: nn.Module) -> None:
    tensors = [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
    bad = sum(int((~tensor.isfinite()).sum()) for tensor in tensors)
    if bad:
        raise NonFiniteError(f"{bad} weights of the model are not finite; nothing was measured")


def _refuse_non_finite_images(network: nn.Module, inputs: object, images: Tensor) -> None:
    """Refuse them in a forward hook: 8-bit images would hide what was not finite."""
    bad = int((~images.isfinite()).flatten(1).any(1).sum())
    if bad:
        raise NonFiniteError(f"{bad} of {len(images)} images in a batch are not finite; nothing was measured")
