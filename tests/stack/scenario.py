"""What happens to the stack, step by step. Each step returns what a person would have seen."""

import json
import os
import time
from pathlib import Path
from typing import Any

import httpx
import mlflow
from mlflow import MlflowClient
from PIL import Image
from sklearn.datasets import load_digits

from tests.stack.report import Step
from tests.stack.stack import COMPOSE, ROOT, Stack, run
from tests.support.project import LABELS

SLOW = "digits-slow"


class Scenario:
    """The steps on one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.seed = 0

    def steps(self) -> dict[str, Step]:
        """Return the steps in their order."""
        return {
            "start": self.start,
            "first retrain of both demo models": self.first_retrain,
            "second retrain": self.second_retrain,
            "new images in the bucket overnight": self.night,
            "doctor and metrics": self.doctor,
            "trainer killed (1)": self.trainer_killed,
            "flow process killed (7)": lambda: self.killed("prefect.engine"),
            "worker killed (8)": lambda: self.killed("atelier worker"),
            "whole container killed (8)": self.container_killed,
            "worker stopped (5)": self.worker_stopped,
            "Prefect restarted during a training (9)": lambda: self.server_restarted("prefect-server"),
            "Postgres restarted during a training (9)": lambda: self.server_restarted("postgres"),
            "MLflow gone for 40 s of a training (12)": lambda: self.server_away("mlflow-server", "stop"),
            "MLflow hanging for 40 s of a training (12)": lambda: self.server_away("mlflow-server", "pause"),
            "S3 killed while a dataset version is sent (17)": self.storage_killed,
            "S3 hanging at the start (10)": self.no_storage,
            "two retrains at once (20, 44)": self.two_at_once,
            "upgrade during a training (55)": self.upgrade,
            "backup, and restore into an empty stack": self.restore,
        }

    # Nights

    def start(self) -> str:
        self.stack.remove()
        self.stack.start()
        return "every service healthy, from nothing"

    def first_retrain(self) -> str:
        said = self.stack.atelier(
            "retrain", "configs/digits-generator.yaml", "configs/photo-restorer.yaml", "--on-workers"
        )
        assert said.count("promoted") >= 2, said
        return self.champions("digits-generator", "photo-restorer")

    def second_retrain(self) -> str:
        before = self.versions()
        times = []
        for name in ("digits-generator", "photo-restorer"):
            begun = time.monotonic()
            said = self.stack.atelier("retrain", f"configs/{name}.yaml", "--on-workers")
            times.append(time.monotonic() - begun)
            assert "nothing new" in said, said
        assert self.versions() == before
        both = " and ".join(f"{seconds:.0f} s" for seconds in times)
        return f"nothing new, no new version; {both} with the command's start"

    def night(self) -> str:
        self.stack.put(self.digits(0, 40))
        self.stack.atelier("retrain", "configs/digits-inbox.yaml", "--on-workers")
        first = self.champions("digits-inbox")
        self.stack.put(self.digits(40, 80))
        deployment = self.stack.deployment("retrain/digits-inbox")["id"]
        schedule = [{"schedule": {"cron": "* * * * *", "timezone": "UTC"}, "active": True}]
        made = self.stack.ask("POST", f"deployments/{deployment}/schedules", schedule)
        run = self.stack.wait(self.scheduled_run, "run of the schedule")
        self.stack.ask("DELETE", f"deployments/{deployment}/schedules/{made[0]['id']}")
        ended = self.stack.await_end(run["id"])
        assert ended["state_type"] == "COMPLETED", ended["state"]
        client = self.client()
        aliases = client.get_registered_model("digits-inbox").aliases
        assert len(client.search_model_versions("name = 'digits-inbox'")) == 2
        assert aliases["champion"] == "2" or aliases.get("challenger") == "2", aliases
        said = f"aliases {json.dumps(aliases)}, state '{ended['state']['message']}'"
        return f"{first}; a schedule of every minute found the new images: {said}"

    def doctor(self) -> str:
        """Ask doctor in the containers, where its answers matter, and the metrics from outside."""
        said = self.stack.docker("exec", self.stack.container("worker-cpu"), "entrypoint.sh", "atelier", "doctor")
        lines = httpx.get(self.stack.metrics, timeout=60).text.splitlines()
        values = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        assert {values[f'atelier_up{{server="{name}"}}'] for name in ("mlflow", "prefect")} == {"1.0"}, values
        retrained = [name for name in values if name.startswith("atelier_last_success_timestamp_seconds")]
        assert "broken" not in said, said
        return f"{said.count('works')} checks work; {len(values)} metrics, {len(retrained)} of them last successes"

    def scheduled_run(self) -> dict[str, Any] | None:
        runs = self.stack.runs("retrain/digits-inbox")
        found = [
            run for run in runs if run.get("auto_scheduled") and run["state_type"] in ("RUNNING", "COMPLETED", "FAILED")
        ]
        return found[0] if found else None

    # Faults

    def trainer_killed(self) -> str:
        """Where memory runs out it would run out again: nothing begins it anew by itself, and who does resumes it."""
        run = self.slow_training()
        self.stack.kill_process("worker-no-gpu", "gan_models.training")
        failed = self.stack.await_end(run)["state"]
        assert failed["type"] == "FAILED", failed
        again = self.recovered(self.stack.submit(f"retrain/{SLOW}"))
        return f"failed at once, '{failed['message'][:120]}'; retrained: {again}"

    def killed(self, words: str) -> str:
        run = self.slow_training()
        self.stack.kill_process("worker-no-gpu", words)
        return self.recovered(run)

    def container_killed(self) -> str:
        run = self.slow_training()
        self.stack.docker("kill", self.stack.container("worker-no-gpu"))
        self.stack.start()
        return self.recovered(run)

    def worker_stopped(self) -> str:
        run = self.slow_training()
        before = self.checkpoints()
        begun = time.monotonic()
        self.stack.compose("stop", "worker-no-gpu")
        seconds = time.monotonic() - begun
        self.stack.start()
        new = self.checkpoints() - before
        assert new, "no checkpoint was written when it was asked to stop"
        return f"stopped in {seconds:.0f} s with a checkpoint; {self.recovered(run)}"

    def server_restarted(self, service: str) -> str:
        run = self.slow_training()
        self.stack.docker("restart", self.stack.container(service))
        return self.recovered(run)

    def server_away(self, service: str, how: str) -> str:
        run = self.slow_training()
        with self.stack.without(service, how):
            time.sleep(40)
        return self.recovered(run)

    def storage_killed(self) -> str:
        self.new_seed()
        self.stack.edit(SLOW, "dataset", name="sent")
        run = self.stack.submit(f"dataset/{SLOW}")
        self.stack.wait(lambda: self.stack.run_state(run)["state_type"] == "RUNNING", "running dataset")
        self.stack.docker("kill", self.stack.container("s3"))
        first = self.stack.await_end(run)["state"]
        self.stack.start()
        second = self.stack.await_end(self.stack.submit(f"dataset/{SLOW}"))["state"]
        self.stack.edit(SLOW, "dataset", name="digits")
        assert second["type"] == "COMPLETED", second
        return f"first {first['name']}: {first['message']}; then {second['name']}"

    def no_storage(self) -> str:
        self.new_seed()
        with self.stack.without("s3", "pause"):
            ended = self.stack.await_end(self.stack.submit(f"dataset/{SLOW}"))
        return f"dataset ended as {ended['state']['name']}: {ended['state']['message']}"

    def two_at_once(self) -> str:
        self.new_seed()
        before = len(self.versions_of(SLOW))
        runs = [self.stack.submit(f"retrain/{SLOW}") for _ in range(2)]
        ended = [self.stack.await_end(run)["state"] for run in runs]
        assert all(state["type"] == "COMPLETED" for state in ended), ended
        assert len(self.versions_of(SLOW)) == before + 1
        return "one new version; " + " / ".join(f"{state['message']}" for state in ended)

    def upgrade(self) -> str:
        image = self.stack.environment.get("ATELIER_IMAGE", "gan-atelier:cpu")
        next_image = "gan-atelier:next"
        changed = f"FROM {image}\nUSER root\nRUN echo '# a comment' >> /app/flows/train.py\nUSER 10001\n"
        folder = self.stack.folder / "next"
        folder.mkdir()
        (folder / "Dockerfile").write_text(changed)
        self.stack.docker("build", "--tag", next_image, str(folder))
        run = self.slow_training()
        self.stack.environment["ATELIER_IMAGE"] = next_image
        self.stack.start()
        recovered = self.recovered(run)
        before = self.versions()
        said = self.stack.atelier("retrain", "configs/digits-generator.yaml", "--on-workers")
        assert "nothing new" in said, said
        assert self.versions() == before
        return f"{recovered}; nothing was retrained for a comment"

    def restore(self) -> str:
        before = self.versions()
        backup = self.stack.folder / "backup"
        environment = {**self.stack.environment, "COMPOSE": " ".join(COMPOSE)}
        said = run(["sh", str(ROOT / "deploy/backup/backup.sh"), str(backup)], environment)
        self.stack.remove()
        self.stack.compose("up", "--detach", "--no-build", "--wait", "postgres", "s3", "buckets")
        run(["sh", str(ROOT / "deploy/backup/restore.sh"), str(backup)], environment)
        self.stack.start()
        assert self.versions() == before
        found = self.champions("digits-generator", "photo-restorer")
        again = self.stack.atelier("retrain", "configs/digits-generator.yaml", "--on-workers")
        assert "nothing new" in again, again
        return f"{said.strip().split(': ')[-1]}; {found}; nothing new"

    # What steps share

    def slow_training(self) -> str:
        """Begin a training of its own, and return the id of the parent's flow run once there is a checkpoint."""
        self.new_seed()
        clear = "import shutil; shutil.rmtree('/var/lib/atelier/runs', ignore_errors=True)"
        self.stack.docker("exec", self.stack.container("worker-no-gpu"), "python", "-c", clear)
        run = self.stack.submit(f"retrain/{SLOW}")
        self.stack.await_checkpoint()
        return run

    def recovered(self, run: str) -> str:
        """Wait until a parent has ended well, and nothing of its kind runs, waits or holds a slot any more."""
        begun = time.monotonic()
        ended = self.stack.await_end(run)
        assert ended["state_type"] == "COMPLETED", ended["state"]
        for stage in ("retrain", "train"):
            left = [
                found
                for found in self.stack.runs(f"{stage}/{SLOW}")
                if found["state_type"] in ("RUNNING", "CANCELLING")
            ]
            assert not left, f"{stage} runs are left: {[found['name'] for found in left]}"
        attempts = self.stack.runs(f"train/{SLOW}")[0]["run_count"]
        return f"{self.champions(SLOW)} {time.monotonic() - begun:.0f} s later, train run {attempts} times"

    def champions(self, *models: str) -> str:
        """Check that each model's champion loads, has its metrics and its lineage, and name them."""
        client, found = self.client(), []
        for model in models:
            version = client.get_model_version_by_alias(model, "champion")
            for tag in ("training_run", "evaluation_run", "dataset_version", "bundle_digest"):
                assert version.tags.get(tag), f"{model} {version.version} has no {tag}"
            assert client.get_run(version.tags["evaluation_run"]).data.metrics
            mlflow.set_tracking_uri(self.stack.mlflow)
            os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD"] = "false"  # as operations.md says
            mlflow.pyfunc.load_model(f"models:/{model}/{version.version}")
            found.append(f"{model} {version.version}")
        return f"champion {', '.join(found)} loads"

    def versions(self) -> dict[str, list[str]]:
        return {model.name: self.versions_of(model.name) for model in self.client().search_registered_models()}

    def versions_of(self, model: str) -> list[str]:
        found = self.client().search_model_versions(f"name = '{model}'")
        return sorted(version.version for version in found)

    def client(self) -> MlflowClient:
        return MlflowClient(self.stack.mlflow)

    def checkpoints(self) -> set[str]:
        look = "import glob; print(*glob.glob('/var/lib/atelier/runs/*/checkpoints/*.json'))"
        return set(self.stack.docker("exec", self.stack.container("worker-cpu"), "python", "-c", look).split())

    def new_seed(self) -> None:
        self.seed += 1
        self.stack.edit(SLOW, "train", seed=self.seed)

    def digits(self, first: int, last: int) -> Path:
        """Return a folder with digits first to last of each label."""
        digits = load_digits()
        folder = self.stack.folder / f"digits-{first}"
        for label in LABELS:
            (folder / str(label)).mkdir(parents=True)
            for number, pixels in enumerate(digits.images[digits.target == label][first:last], start=first):
                Image.fromarray((pixels / 16 * 255).round().astype("uint8")).save(folder / str(label) / f"{number}.png")
        return folder
