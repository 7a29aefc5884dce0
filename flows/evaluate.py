"""Stage three: one trained model in, numbers with intervals out, beside the champion's under the same protocol."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import yaml
from prefect import flow

from flows.config.model_config import ModelConfig, as_written
from flows.config.settings import Settings
from flows.datasets import versions
from flows.evaluations.comparison import Opponent, judge_against
from flows.evaluations.mlflow_report import log_judgment, log_numbers, log_protocol, report, review_text
from flows.evaluations.rules import Judgment
from flows.lookup.evaluation_target import Subject, bundle_facts, named, registered, trained, trained_now
from flows.runtime.fingerprint import EVALUATION_SOURCES, fingerprint, source_digest
from flows.runtime.progress import progress, say
from flows.runtime.records import DatasetVersion, Evaluation, MetricValue, TrainingRun
from flows.runtime.supervised_process import ChildFailedError, limits_of, run_limited
from flows.tracking.context import StageError, Workplace, enter, name_flow_run, publish, skip, stage_run
from flows.tracking.registry import ModelVersion, UnknownModelError


@flow(name="evaluate", description=__doc__)
def evaluate(config: str, training: TrainingRun | None = None, model: str | None = None) -> Evaluation:
    """Measure a model in a process of its own, compare it with the champion, and write the report.

    Args:
        config: the model's config file, relative to the project.
        training: the run whose model is measured; without it that of what the config makes now.
        model: what is measured in place of it, on the config's present data: `models:/name/3`, `models:/name@alias`,
            a version's number, or the folder of a bundle.
    """
    place = enter(config)
    subject = trained(place, training) if training else named(place, model) if model else trained_now(place)
    mark = evaluation_fingerprint(place.model, subject)
    name_flow_run(f"evaluate {place.model.name} {mark[:7]}")
    opponent = None
    if find_evaluation(place, mark) is None:
        # Before the lock: a model and its champion, evaluated at one time, must not wait for each other.
        opponent = _measure_opponent(place, find_opponent(place, subject.training), subject.dataset)
    with versions.locked(place.settings, f"evaluate-{mark}") as lock:
        done = find_evaluation(place, mark)
        if done:
            return skip(place, done, "evaluate", place.model.name, f"evaluated in run {done.run_id[:7]}")
        return _evaluate(place, subject, mark, lock, lambda record: judge_against(place, record, opponent))


def evaluation_fingerprint(model: ModelConfig, measured: TrainingRun | Subject) -> str:
    """Of the evaluate section, the files it names, the model's weights, the images, and the code that measures.

    Raises:
        StageError: a file cannot be read.
    """
    return fingerprint(
        model=model.name,
        config=model.evaluate,
        bundle=measured.bundle_digest,
        data=measured.dataset.content_digest,
        code=source_digest(*EVALUATION_SOURCES),
        **_files_named(model),
        # A bundle that was also trained here is measured once as each: only the latter's record leads to promotion.
        **({"on_disk": True} if isinstance(measured, Subject) and measured.training is None else {}),
    )


def _files_named(model: ModelConfig) -> dict[str, str]:
    """SHA-256 of each file that the evaluate section names, by its key."""
    named_files = {"unseen_style": model.evaluate.unseen_style, "extractor.weights": model.evaluate.extractor.weights}
    digests = {}
    for key, path in named_files.items():
        if path is not None:
            try:
                digests[key] = hashlib.sha256((Settings().root / path).read_bytes()).hexdigest()
            except OSError as error:
                raise StageError(f"evaluate.{key} is {path}, which cannot be read: {error.strerror}") from None
    return digests


def find_evaluation(place: Workplace, mark: str) -> Evaluation | None:
    """The finished evaluation with this fingerprint."""
    return place.tracking.find_finished(Evaluation, place.model.name, "evaluate", fingerprint=mark)


def current_evaluation(place: Workplace) -> Evaluation:
    """The evaluation of what the config makes now.

    Raises:
        StageError: it has not been made yet.
    """
    done = find_evaluation(place, evaluation_fingerprint(place.model, trained_now(place)))
    if done is None:
        raise StageError(f"the present model of '{place.model.name}' is not evaluated; run `atelier evaluate` first")
    return done


def find_opponent(place: Workplace, judged: TrainingRun | None) -> ModelVersion | None:
    """The version to be better than: the champion, or what it replaced where the judged model is champion already.

    The latter is so when it is measured again, or when an attempt died between moving the alias and recording it.
    """
    champion = place.registry.at(place.model.name, "champion")
    if champion and judged and champion.logged_model_id == judged.logged_model_id:
        return place.registry.at(place.model.name, "previous")
    return champion


def judge(place: Workplace, judged: Evaluation, opponent: ModelVersion | None) -> Judgment:
    """Apply the config's rules to an evaluated model against an opponent, measured under the same protocol.

    An opponent that cannot be measured fails every rule about it: the champion then keeps serving.
    """
    return judge_against(place, judged, _measure_opponent(place, opponent, judged.dataset))


def _measure_opponent(place: Workplace, opponent: ModelVersion | None, dataset: DatasetVersion) -> Opponent | None:
    if opponent is None:
        return None
    try:
        return Opponent(opponent.version, measured(place, registered(place, opponent, dataset)))
    except (StageError, UnknownModelError, OSError) as error:
        return Opponent(opponent.version, None, str(error))


def measured(place: Workplace, subject: Subject) -> Evaluation:
    """A subject's evaluation; made now if there is none yet, and then not judged.

    Raises:
        StageError: it cannot be measured.
    """
    mark = evaluation_fingerprint(place.model, subject)
    with versions.locked(place.settings, f"evaluate-{mark}") as lock:
        done = find_evaluation(place, mark)
        if done is None:
            say(f"evaluate  {place.model.name}: measuring {subject.name} under the same protocol")
            done = _evaluate(place, subject, mark, lock)
    return done


def _evaluate(
    place: Workplace, subject: Subject, mark: str, lock: int, judged: Callable[[Evaluation], Judgment] | None = None
) -> Evaluation:
    from gan_models.evaluation.comparison import load_evaluation

    model, tracking, training = place.model, place.tracking, subject.training
    tags = {
        "model": model.name,
        "subject": subject.name,
        "bundle_digest": subject.bundle_digest,
        "training_run": training.run_id if training else None,
        "dataset": subject.dataset.name,
        "dataset_version": subject.dataset.dvc_md5,
    }
    with stage_run(place, model.name, "evaluate", mark, subject=model.name, tags=tags) as run_id:
        bundle = subject.fetch()
        facts = bundle_facts(bundle)
        tracking.log_params(run_id, {**model.evaluate.model_dump(mode="json"), **facts})
        tracking.log_dataset(run_id, subject.dataset, "evaluation")
        if training:
            tracking.log_measured_model(run_id, training.logged_model_id)
        folder = _measure(place, subject, bundle, mark, lock)
        result, _ = load_evaluation(folder)
        record = Evaluation(
            fingerprint=mark,
            run_id=run_id,
            model_name=model.name,
            subject=subject.name,
            bundle_digest=subject.bundle_digest,
            dataset=subject.dataset,
            training=training,
            protocol_id=result.protocol_id,
            metrics={
                metric.key: MetricValue(value=metric.value, low=metric.low, high=metric.high, baseline=metric.baseline)
                for metric in result.metrics
            },
            seconds=place.seconds,
        )
        tracking.log_files(run_id, [folder], "evaluation")
        log_numbers(place, record, result, folder, step=facts["num_steps"])
        log_protocol(place, record, result)
        judgment = judged(record) if judged else Judgment(())
        champion = judgment.champion
        record = record.model_copy(
            update={
                "verdicts": judgment.verdicts,
                "champion_version": judgment.opponent_version,
                "champion_run_id": champion.run_id if champion else None,
                "champion_metrics": {key: m.value for key, m in champion.metrics.items()} if champion else {},
                "seconds": place.seconds,
            }
        )
        log_judgment(place, record, judgment)
        report(place, record, judgment, folder)
        tracking.finish(record)
    publish(place, "evaluate", model.name, run_id, review_text(record))
    return record


def _measure(place: Workplace, subject: Subject, bundle: Path, mark: str, lock: int) -> Path:
    """Run `python -m gan_models.evaluation` to its end; the folder it wrote.

    Raises:
        StageError: it did not come to a good one; the message says why.
    """
    data = versions.materialize(place.settings, subject.dataset.name, subject.dataset.dvc_md5)
    home = place.settings.state / "runs" / mark
    home.mkdir(parents=True, exist_ok=True)
    config = home / "config.yaml"
    config.write_text(yaml.safe_dump(as_written(place.model, place.settings.root), sort_keys=False))
    out = home / "evaluation"
    arguments = ["-m", "gan_models.evaluation", "--bundle", str(bundle), "--data", str(data)]
    arguments += [
        "--config",
        str(config),
        "--out",
        str(out),
        "--cache",
        str(place.settings.state / "cache" / "features"),
    ]
    log = home / "evaluation.log"
    try:
        with progress(f"evaluate {place.model.name}") as update:
            watch = lambda: update(*_how_far(out / "progress.jsonl"))  # noqa: E731
            run_limited(arguments, log, limits_of(place.settings), lock, watch)
    except ChildFailedError as error:
        raise StageError(f"the evaluation of '{place.model.name}' {error}") from None
    return out


def _how_far(file: Path) -> tuple[int, int | None, str]:
    try:
        row = json.loads(file.read_text().split("\n")[-2])
    except (OSError, IndexError, ValueError):
        return 0, None, "starting"
    return row["done"], row["total"], row["what"]
