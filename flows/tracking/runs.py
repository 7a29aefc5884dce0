"""MLflow's tracking side: experiments, runs, what is logged on them, and finding them again.

Runs are named by id throughout: MLflow's notion of an active run belongs to a thread.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from flows.config.settings import Settings
from flows.runtime.records import Record, RunKind
from flows.tracking.attempts import Attempts, StaleAttemptError
from flows.tracking.client import every_page
from flows.tracking.errors import TrackingError
from flows.tracking.run_contents import RunContents

DATASETS_EXPERIMENT = "datasets"
MAX_TAG = 7_000  # characters, below MLflow's limit of 8,000
SEQUENCE = "sequence"  # tag of a finished run: hosts send the times of runs, and their clocks differ
NEWEST_FIRST = [f"tags.{SEQUENCE} DESC", "attributes.end_time DESC"]
FEW = 5  # runs of a page, where the first one is nearly always the answer

AnyRecord = TypeVar("AnyRecord", bound=Record)


class Tracking(RunContents):
    """Runs in the MLflow of this project."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._attempts = Attempts()

    # Finding what is done

    def find_finished(self, record: type[AnyRecord], experiment: str, stage: RunKind, **tags: str) -> AnyRecord | None:
        """Return the record of the newest finished run of a stage with all of these tags, or None."""
        for found in self._search(experiment, _finished(stage, tags)):
            with contextlib.suppress(KeyError, ValidationError):  # of an older release: as good as not done
                return record.model_validate_json(_record_in(found))
        return None

    def finished(
        self, record: type[AnyRecord], experiment: str, stage: RunKind, **tags: str
    ) -> list[tuple[AnyRecord, datetime, dict[str, str]]]:
        """Return records, times in UTC and tags of all finished runs of a stage with these tags, the newest first."""
        known = self.client.get_experiment_by_name(experiment)
        if known is None:
            return []
        condition = _finished(stage, tags)
        runs = every_page(
            lambda token: self.client.search_runs(
                [known.experiment_id], condition, order_by=NEWEST_FIRST, page_token=token
            )
        )
        found: list[tuple[AnyRecord, datetime, dict[str, str]]] = []
        for run in runs:
            with contextlib.suppress(KeyError, ValidationError):  # of an older release
                read = record.model_validate_json(_record_in(run.data.tags))
                found.append((read, datetime.fromtimestamp(run.info.end_time / 1000, UTC), dict(run.data.tags)))
        return found

    def has_finished(self, experiment: str, stage: RunKind, **tags: str) -> bool:
        """Return whether there is a finished run of a stage with these tags."""
        return next(self._search(experiment, _finished(stage, tags)), None) is not None

    def tags(self, run_id: str) -> dict[str, str]:
        """Return all tags of a run."""
        return dict(self.client.get_run(run_id).data.tags)

    def params(self, run_id: str) -> dict[str, str]:
        """Return all parameters of a run."""
        return dict(self.client.get_run(run_id).data.params)

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
            with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as arriving:
                self.transfer(
                    lambda: artifacts.download_artifacts(
                        run_id=run_id, artifact_path=artifact, dst_path=arriving, tracking_uri=self.uri
                    )
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
        self, experiment: str, stage: RunKind, fingerprint: str, *, name: str, tags: Mapping[str, str | None]
    ) -> str:
        """Return the id of the unfinished run with this fingerprint, or of a new one, which then shows as running.

        This process is the one that works on it from here on: an earlier attempt that is still alive can neither finish
        it nor fail it.
        """
        from mlflow.utils.mlflow_tags import MLFLOW_USER

        experiment_id = self._experiment(experiment)
        given = {name: value for name, value in tags.items() if value is not None}
        unfinished = self.client.search_runs(
            [experiment_id],
            f"tags.stage = '{stage}' and tags.fingerprint = '{fingerprint}' and attributes.status != 'FINISHED'",
            max_results=1,
        )
        if unfinished:
            run_id = str(unfinished[0].info.run_id)
            self._attempts.begin(self.client, run_id, unfinished[0].data.tags)
            self.client.update_run(run_id, status="RUNNING")
            self.set_tags(run_id, given)
            if "reason" in unfinished[0].data.tags:
                self.client.delete_tag(run_id, "reason")
            return run_id
        all_tags = {"stage": stage, "fingerprint": fingerprint, MLFLOW_USER: "atelier", **given}
        run = self.client.create_run(experiment_id, run_name=f"{stage} {name} {fingerprint[:7]}", tags=all_tags)
        run_id = str(run.info.run_id)
        self._attempts.begin(self.client, run_id, {})
        return run_id

    def check_current(self, run_id: str) -> None:
        """Raise a StaleAttemptError if another attempt took up a run: to be asked before each write that counts."""
        self._attempts.check(self.client, run_id)

    def finish(self, record: Record) -> None:
        """Put the record on its run and close it: from here on the work counts as done, after all that is done already.

        Raises:
            StaleAttemptError: another attempt has taken up the run.
        """
        text = record.model_dump_json()
        parts = [text[start : start + MAX_TAG] for start in range(0, len(text), MAX_TAG)]
        self.check_current(record.run_id)
        names = ("record", *(f"record.{number}" for number in range(1, len(parts))))
        tags = {**dict(zip(names, parts, strict=True)), "record.parts": str(len(parts))}
        self.set_tags(record.run_id, {**tags, SEQUENCE: self._next_in_sequence(record.run_id)})
        self.client.set_terminated(record.run_id, "FINISHED")

    def _next_in_sequence(self, run_id: str) -> str:
        """Return the number of a run that is about to finish: one more than the last of its stage has.

        Zeros stand before it, since MLflow sorts tags as texts. Who finishes a run holds the lock of what it makes, so
        that no two runs of one dataset or model, between which an order is asked for, take the same number.
        """
        run = self.client.get_run(run_id)
        finished = _finished(run.data.tags["stage"], {})
        last = self.client.search_runs([run.info.experiment_id], finished, order_by=NEWEST_FIRST, max_results=1)
        return f"{1 + (int(last[0].data.tags.get(SEQUENCE, '0')) if last else 0):012d}"

    def fail(self, run_id: str, reason: str) -> None:
        """Close a run as failed, with the reason for a person as a tag and in its description.

        A run that another attempt has taken up is left alone.
        """
        try:
            self.check_current(run_id)
        except StaleAttemptError:
            return
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


def _finished(stage: str, tags: Mapping[str, str]) -> str:
    """Return the condition of finished runs of a stage with these tags."""
    quoted = {name: f'"{value}"' if "'" in value else f"'{value}'" for name, value in {"stage": stage, **tags}.items()}
    conditions = [f"tags.{name} = {value}" for name, value in quoted.items()]
    return " and ".join([*conditions, "attributes.status = 'FINISHED'"])


def _record_in(tags: Mapping[str, str]) -> str:
    """Return the JSON of the record in a run's tags, in several because MLflow cuts a longer one off silently."""
    others = range(1, int(tags.get("record.parts", "1")))
    return "".join([tags["record"], *(tags[f"record.{number}"] for number in others)])
