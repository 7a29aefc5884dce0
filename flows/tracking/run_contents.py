"""What is logged on a run of MLflow: parameters, metrics, tags, tables, pictures, files, and its inputs."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.runtime.records import DatasetVersion
from flows.tracking.client import MlflowConnection

MAX_BATCH = 1000  # metrics that one request to MLflow may carry


class RunContents(MlflowConnection):
    """What is on the runs of this project's MLflow. Logging something again puts it in place of what was there."""

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


def _flatten(mapping: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
