"""MLflow's tracking side: experiments, runs, what is logged on them, and finding them again.

Runs are named by id throughout: MLflow's notion of an active run belongs to a thread.
"""

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from flows.runtime.records import DatasetVersion, Record, Stage
from flows.tracking.client import MlflowConnection, TrackingError, every_page

DATASETS_EXPERIMENT = "datasets"
MAX_TAG = 7_000  # characters, below MLflow's limit of 8,000
NEWEST_FIRST = ["attributes.start_time DESC"]
FEW = 5  # runs of a page, where the first one is nearly always the answer
MAX_BATCH = 1000  # metrics that one request to MLflow may carry

AnyRecord = TypeVar("AnyRecord", bound=Record)


class Tracking(MlflowConnection):
    """Runs in the MLflow of this project."""

    # Finding what is done

    def find_finished(self, record: type[AnyRecord], experiment: str, stage: Stage, **tags: str) -> AnyRecord | None:
        """Return the record of the newest finished run of a stage with all of these tags, or None."""
        tags = {"stage": stage, **tags}
        condition = " and ".join(f"tags.{name} = '{value}'" for name, value in tags.items())
        for found in self._search(experiment, f"{condition} and attributes.status = 'FINISHED'"):
            with contextlib.suppress(KeyError, ValidationError):  # of an older release: as good as not done
                return record.model_validate_json(_record_in(found))
        return None

    def finished(
        self, record: type[AnyRecord], experiment: str, stage: Stage, **tags: str
    ) -> list[tuple[AnyRecord, datetime, dict[str, str]]]:
        """Return records, times in UTC and tags of all finished runs of a stage with these tags, the newest first."""
        known = self.client.get_experiment_by_name(experiment)
        if known is None:
            return []
        condition = " and ".join(f"tags.{name} = '{value}'" for name, value in {"stage": stage, **tags}.items())
        runs = every_page(
            lambda token: self.client.search_runs(
                [known.experiment_id],
                f"{condition} and attributes.status = 'FINISHED'",
                order_by=["attributes.end_time DESC"],
                page_token=token,
            )
        )
        found: list[tuple[AnyRecord, datetime, dict[str, str]]] = []
        for run in runs:
            with contextlib.suppress(KeyError, ValidationError):  # of an older release
                read = record.model_validate_json(_record_in(run.data.tags))
                found.append((read, datetime.fromtimestamp(run.info.end_time / 1000, UTC), dict(run.data.tags)))
        return found

    def tags(self, run_id: str) -> dict[str, str]:
        """Return all tags of a run."""
        return dict(self.client.get_run(run_id).data.tags)

    def record(self, record: type[AnyRecord], run_id: str) -> AnyRecord | None:
        """Return the record on a run, or None where the run is gone or never finished."""
        from mlflow.exceptions import MlflowException

        try:
            return record.model_validate_json(_record_in(self.tags(run_id)))
        except (MlflowException, KeyError):
            return None

    def fetch(self, run_id: str, artifact: str) -> Path:
        """Return a folder or file of a run's artifacts: what this machine has uploaded, or a download made once."""
        from mlflow import artifacts

        folder = self._cache(run_id)
        if not (folder / artifact).exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as arriving:
                artifacts.download_artifacts(
                    run_id=run_id, artifact_path=artifact, dst_path=arriving, tracking_uri=self.uri
                )
                (Path(arriving) / artifact).rename(folder / artifact)
        return folder / artifact

    def _search(self, experiment: str, condition: str) -> Iterator[dict[str, str]]:
        """Yield the tags of the matching runs, newest first; the newest is nearly always all that is asked for."""
        known = self.client.get_experiment_by_name(experiment)
        if known is None:
            return
        runs = every_page(
            lambda token: self.client.search_runs(
                [known.experiment_id], condition, order_by=NEWEST_FIRST, max_results=FEW, page_token=token
            )
        )
        yield from (dict(run.data.tags) for run in runs)

    # Runs

    def open_run(
        self, experiment: str, stage: Stage, fingerprint: str, *, name: str, tags: Mapping[str, str | None]
    ) -> str:
        """Return the id of the unfinished run with this fingerprint, or of a new one, which then shows as running."""
        from mlflow.utils.mlflow_tags import MLFLOW_USER

        experiment_id = self._experiment(experiment)
        unfinished = self.client.search_runs(
            [experiment_id],
            f"tags.stage = '{stage}' and tags.fingerprint = '{fingerprint}' and attributes.status != 'FINISHED'",
            max_results=1,
        )
        if unfinished:
            run_id = str(unfinished[0].info.run_id)
            self.client.update_run(run_id, status="RUNNING")
            if "reason" in unfinished[0].data.tags:
                self.client.delete_tag(run_id, "reason")
            return run_id
        all_tags = {"stage": stage, "fingerprint": fingerprint, MLFLOW_USER: "atelier", **tags}
        run = self.client.create_run(
            experiment_id,
            run_name=f"{stage} {name} {fingerprint[:7]}",
            tags={name: value for name, value in all_tags.items() if value is not None},
        )
        return str(run.info.run_id)

    def finish(self, record: Record) -> None:
        """Put the record on its run and close it: from here on the work counts as done."""
        text = record.model_dump_json()
        parts = [text[start : start + MAX_TAG] for start in range(0, len(text), MAX_TAG)]
        names = ("record", *(f"record.{number}" for number in range(1, len(parts))))
        self.set_tags(record.run_id, {**dict(zip(names, parts, strict=True)), "record.parts": str(len(parts))})
        self.client.set_terminated(record.run_id, "FINISHED")

    def fail(self, run_id: str, reason: str) -> None:
        """Close a run as failed, with the reason for a person as a tag and in its description."""
        self.client.set_tag(run_id, "reason", reason[:4000])
        self.client.set_tag(run_id, "mlflow.note.content", f"**Failed.** {reason[:4000]}")
        self.client.set_terminated(run_id, "FAILED")

    def describe(self, run_id: str, text: str) -> None:
        """Set the Markdown description that the MLflow UI shows on the run."""
        self.client.set_tag(run_id, "mlflow.note.content", text)

    def _experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        known = self.client.get_experiment_by_name(name)
        if known is None:
            # Without a server MLflow would put artifacts below the current folder.
            location = None if self.is_server else (self.settings.artifact_root / name).as_uri()
            try:
                return str(self.client.create_experiment(name, artifact_location=location))
            except MlflowException:
                known = self.client.get_experiment_by_name(name)
                if known is None:
                    raise  # else another process was faster
        if known.lifecycle_stage == "deleted":
            raise TrackingError(f"the MLflow experiment '{name}' was deleted; restore it or delete it for good")
        return str(known.experiment_id)

    # What is logged on a run

    def log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        """Log parameters, nested mappings as dotted names. Logging them again must give the same values."""
        from mlflow.entities import Param

        flat = [Param(name, str(value)[:6000]) for name, value in _flatten(params)]
        self.client.log_batch(run_id, params=flat)

    def log_metrics(
        self,
        run_id: str,
        rows: Sequence[tuple[str, float, int, float]],
        model_id: str | None = None,
        dataset: DatasetVersion | None = None,
    ) -> None:
        """Log rows of (name, value, step, Unix seconds) in as few requests as MLflow allows.

        Args:
            model_id: the logged model they are about too.
            dataset: what they were measured on.
        """
        from mlflow.entities import Metric

        about: dict[str, str] = {}
        if model_id:
            about["model_id"] = model_id
        if dataset:
            about |= {"dataset_name": dataset.name, "dataset_digest": dataset.dvc_md5}
        metrics = [Metric(name, value, int(seconds * 1000), step, **about) for name, value, step, seconds in rows]
        for start in range(0, len(metrics), MAX_BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + MAX_BATCH])

    def log_picture(self, run_id: str, picture: Path, key: str, step: int) -> None:
        """Log a PNG under a key at a step: MLflow shows a key's pictures as a series."""
        from PIL import Image

        with Image.open(picture) as image:
            self.client.log_image(run_id, image, key=key, step=step, synchronous=True)

    def log_table(self, run_id: str, rows: Sequence[Mapping[str, Any]], name: str) -> None:
        """Log rows of one shape as a table of the MLflow UI, in place of one of that name."""
        if not rows:
            return
        if name in {file.path for file in self.client.list_artifacts(run_id)}:  # log_table would append
            table = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
            self.client.log_dict(run_id, table, name)
        else:
            columns = {column: [row[column] for row in rows] for column in rows[0]}
            self.client.log_table(run_id, columns, name)

    def log_json(self, run_id: str, content: Mapping[str, Any], name: str) -> None:
        """Log a mapping as a JSON file, which the MLflow UI shows."""
        self.client.log_dict(run_id, dict(content), name)

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run, which its table can show as columns."""
        from mlflow.entities import RunTag

        self.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])

    def log_files(self, run_id: str, files: Iterable[Path], folder: str | None = None) -> None:
        """Log files or folders as artifacts."""
        for file in files:
            if file.is_dir():
                self.client.log_artifacts(run_id, str(file), folder)
            else:
                self.client.log_artifact(run_id, str(file), folder)

    def log_kept(self, run_id: str, path: Path) -> None:
        """Log a folder or file under its own name, and keep a copy here: `fetch` will be asked for it."""
        self.log_files(run_id, [path], path.name if path.is_dir() else None)
        kept = self._cache(run_id) / path.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as arriving:
            new = Path(arriving) / "new"
            if path.is_dir():
                shutil.copytree(path, new)
            else:
                shutil.copy2(path, new)
            if kept.exists():  # of an attempt that was cut short
                kept.rename(Path(arriving) / "old")
            new.rename(kept)

    def _cache(self, run_id: str) -> Path:
        return self.settings.state / "cache" / "artifacts" / run_id

    def log_dataset(self, run_id: str, version: DatasetVersion, context: str) -> None:
        """Log a dataset version as the run's input; its digest is the MD5 that DVC finds it by."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = {
            "dvc": "data.dvc",
            "path": f"data/{version.name}",
            "md5": version.dvc_md5,
            "git_commit": version.git_commit,
        }
        profile = {"num_train": version.num_train, "num_evaluation": version.num_evaluation}
        dataset = Dataset(
            name=version.name,
            digest=version.dvc_md5,
            source_type="dvc",
            source=json.dumps(source),
            profile=json.dumps(profile),
        )
        self.client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", context)])])

    def log_measured_model(self, run_id: str, model_id: str) -> None:
        """Log a logged model as the run's input, so that each links to the other in the MLflow UI."""
        from mlflow.entities import LoggedModelInput

        self.client.log_inputs(run_id, models=[LoggedModelInput(model_id)])


def _record_in(tags: Mapping[str, str]) -> str:
    """Return the JSON of the record in a run's tags, in several because MLflow cuts a longer one off silently."""
    others = range(1, int(tags.get("record.parts", "1")))
    return "".join([tags["record"], *(tags[f"record.{number}"] for number in others)])


def _flatten(mapping: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
