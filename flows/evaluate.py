"""Stage three: one trained model in, numbers with intervals out, beside the champion's under the same protocol."""

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import yaml
from prefect import flow

from flows import versioning
from flows.fingerprint import EVALUATION_SOURCES, fingerprint, source_digest
from flows.model_config import ModelConfig, as_written
from flows.orchestration import StageError, Workplace, enter, name_flow_run, publish, skip, stage_run
from flows.progress import progress, say
from flows.records import Evaluation, MetricValue, TrainingRun
from flows.registry import ModelVersion
from flows.review import log_numbers, report, review_text
from flows.rules import Judgement, apply_rules
from flows.settings import Settings
from flows.train import current_dataset, find_training, train_fingerprint

POLL_SECONDS = 0.3


@flow(name="evaluate", description=__doc__)
def evaluate(config: str, training: TrainingRun | None = None) -> Evaluation:
    """Measure a model in a process of its own, compare it with the champion, and write the report.

    Args:
        config: the model's config file, relative to the project.
        training: the run whose model is measured; without it that of what the config makes now.
    """
    place = enter(config)
    model = place.model
    trained = training or _current_training(place)
    mark = evaluation_fingerprint(model, trained)
    name_flow_run(f"evaluate {model.name} {mark[:7]}")
    with versioning.locked(place.settings, f"evaluate-{mark}"):
        done = find_evaluation(place, mark)
        if done:
            return skip(place, done, "evaluate", model.name, f"evaluated in run {done.run_id[:7]}")
        return _evaluate(place, trained, mark)


def evaluation_fingerprint(model: ModelConfig, trained: TrainingRun) -> str:
    """Of the evaluate section, the style image it names, the model's weights, the images, and the code that measures.

    Raises:
        StageError: the style image cannot be read.
    """
    return fingerprint(
        model=model.name,
        config=model.evaluate,
        bundle=trained.bundle_digest,
        data=trained.dataset.content_digest,
        code=source_digest(*EVALUATION_SOURCES),
        **_unseen_style(model),
    )


def _unseen_style(model: ModelConfig) -> dict[str, str]:
    path = model.evaluate.unseen_style
    if path is None:
        return {}
    try:
        return {"unseen_style": hashlib.sha256((Settings().root / path).read_bytes()).hexdigest()}
    except OSError as error:
        raise StageError(f"evaluate.unseen_style is {path}, which cannot be read: {error.strerror}") from None


def find_evaluation(place: Workplace, mark: str) -> Evaluation | None:
    """The finished evaluation with this fingerprint."""
    return place.tracking.find_finished(Evaluation, place.model.name, "evaluate", fingerprint=mark)


def current_evaluation(place: Workplace) -> Evaluation:
    """The evaluation of what the config makes now.

    Raises:
        StageError: it has not been made yet.
    """
    trained = _current_training(place)
    done = find_evaluation(place, evaluation_fingerprint(place.model, trained))
    if done is None:
        raise StageError(f"the present model of '{place.model.name}' is not evaluated; run `atelier evaluate` first")
    return done


def _current_training(place: Workplace) -> TrainingRun:
    done = find_training(place, train_fingerprint(place, current_dataset(place)))
    if done is None:
        raise StageError(f"'{place.model.name}' is not trained on its present data; run `atelier train` first")
    return done


def find_opponent(place: Workplace, judged: TrainingRun) -> ModelVersion | None:
    """The version to be better than: the champion, or what it replaced where the judged model is champion already.

    The latter is so when it is measured again, or when an attempt died between moving the alias and recording it.
    """
    champion = place.registry.at(place.model.name, "champion")
    if champion and champion.logged_model_id == judged.logged_model_id:
        return place.registry.at(place.model.name, "previous")
    return champion


def judge(place: Workplace, judged: Evaluation, opponent: ModelVersion | None) -> Judgement:
    """Apply the config's rules to an evaluated model against an opponent, measured under the same protocol.

    An opponent that cannot be measured fails every rule about it: the champion then keeps serving.
    """
    rules = place.model.promote.rules
    if opponent is None:
        return Judgement(apply_rules(rules, judged.metrics, None))
    from gan_models.evaluation.comparison import compare, load_evaluation
    from gan_models.evaluation.errors import EvaluationError

    try:
        champion = _measured(place, opponent, judged.training)
        differences = compare(
            *load_evaluation(place.tracking.fetch(judged.run_id, "evaluation")),
            *load_evaluation(place.tracking.fetch(champion.run_id, "evaluation")),
        )
    except (StageError, EvaluationError, OSError) as error:
        say(f"champion version {opponent.version} cannot be compared with: {error}")
        reason = f"champion version {opponent.version} cannot be compared with ({error}); it keeps serving"
        return Judgement(apply_rules(rules, judged.metrics, reason))
    by_key = {difference.key: difference for difference in differences}
    return Judgement(apply_rules(rules, judged.metrics, by_key), champion, differences)


def _measured(place: Workplace, opponent: ModelVersion, challenger: TrainingRun) -> Evaluation:
    """The opponent's evaluation on the challenger's evaluation images; made now if there is none yet."""
    trained = place.tracking.record(TrainingRun, opponent.tags.get("training_run", ""))
    if trained is None:
        raise StageError("its training run is no longer in MLflow")
    on_same_images = trained.model_copy(update={"dataset": challenger.dataset})
    mark = evaluation_fingerprint(place.model, on_same_images)
    done = find_evaluation(place, mark)
    if done is None:
        say(f"evaluate  {place.model.name}: measuring champion version {opponent.version} under the same protocol")
        done = _evaluate(place, on_same_images, mark, alone=True)
    return done


def _evaluate(place: Workplace, trained: TrainingRun, mark: str, *, alone: bool = False) -> Evaluation:
    from gan_models.evaluation.comparison import load_evaluation

    model, tracking = place.model, place.tracking
    tags = {
        "model": model.name,
        "training_run": trained.run_id,
        "dataset": trained.dataset.name,
        "dataset_version": trained.dataset.dvc_md5,
    }
    with stage_run(place, model.name, "evaluate", mark, subject=model.name, tags=tags) as run_id:
        tracking.log_params(run_id, model.evaluate.model_dump(mode="json"))
        tracking.log_dataset(run_id, trained.dataset, "evaluation")
        folder = _measure(place, trained, mark)
        result, _ = load_evaluation(folder)
        record = Evaluation(
            fingerprint=mark,
            run_id=run_id,
            model_name=model.name,
            training=trained,
            protocol_id=result.protocol_id,
            metrics={
                metric.key: MetricValue(value=metric.value, low=metric.low, high=metric.high, baseline=metric.baseline)
                for metric in result.metrics
            },
            seconds=place.seconds,
        )
        tracking.log_files(run_id, [folder], "evaluation")
        log_numbers(place, record, result, folder)
        opponent = None if alone else find_opponent(place, trained)
        judgement = judge(place, record, opponent)
        record = record.model_copy(
            update={
                "verdicts": judgement.verdicts,
                "champion_version": opponent.version if opponent else None,
                "champion_run_id": judgement.champion.run_id if judgement.champion else None,
                "champion_metrics": {key: m.value for key, m in judgement.champion.metrics.items()}
                if judgement.champion
                else {},
                "seconds": place.seconds,
            }
        )
        report(place, record, judgement, folder)
        tracking.finish(record)
    publish(place, "evaluate", model.name, run_id, review_text(record))
    return record


def _measure(place: Workplace, trained: TrainingRun, mark: str) -> Path:
    """Run `python -m gan_models.evaluation` to its end; the folder it wrote."""
    data = versioning.materialise(place.settings, trained.dataset.name, trained.dataset.dvc_md5)
    bundle = place.registry.fetch_bundle(trained.logged_model_id)
    home = place.settings.state / "runs" / mark
    home.mkdir(parents=True, exist_ok=True)
    config = home / "config.yaml"
    config.write_text(yaml.safe_dump(as_written(place.model, place.settings.root), sort_keys=False))
    out = home / "evaluation"
    command = [sys.executable, "-m", "gan_models.evaluation", "--bundle", str(bundle), "--data", str(data)]
    command += ["--config", str(config), "--out", str(out), "--cache", str(place.settings.state / "cache" / "features")]
    log = home / "evaluation.log"
    with log.open("wb") as stream, progress(f"evaluate {place.model.name}") as update:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        try:
            while child.poll() is None:
                update(*_how_far(out / "progress.jsonl"))
                time.sleep(POLL_SECONDS)
        finally:
            child.kill()
            child.wait()
    if child.returncode:
        lines = log.read_text(errors="replace").strip().splitlines()
        last = lines[-1].removeprefix("error: ") if lines else "it left no message"
        raise StageError(f"the evaluation of '{place.model.name}' failed: {last}")
    return out


def _how_far(file: Path) -> tuple[int, int | None, str]:
    try:
        row = json.loads(file.read_text().split("\n")[-2])
    except (OSError, IndexError, ValueError):
        return 0, None, "starting"
    return row["done"], row["total"], row["what"]
