"""What the steps share: the models of the stack, what is asked of them, and a training that lasts."""

import os
import time

import mlflow
from mlflow import MlflowClient

from tests.stack.stack import Stack
from tests.support.invariants import check_invariants

SLOW = "digits-slow"


class Models:
    """The models of one stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.seed = 0
        self.champion: str | None = None  # of the slow model, before what happens to it
        os.environ.update(stack.addresses)  # this process looks at MLflow as a person's machine does

    def slow_training(self) -> str:
        """Begin a training of its own, and return the id of the parent's flow run once there is a checkpoint."""
        self.new_seed()
        registered = self.client().search_registered_models(f"name = '{SLOW}'")
        self.champion = registered[0].aliases.get("champion") if registered else None
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
        seen = f"{self.champions(SLOW)} {time.monotonic() - begun:.0f} s later, train run {attempts} times"
        self.check_invariants()
        return f"{seen}; invariants hold"

    def check_invariants(self, told: str | None = None) -> None:
        """Check the five things that hold after every fault, for the slow model."""
        config = f"configs/{SLOW}.yaml"
        check_invariants(config, champion=self.champion, told=told, may_be_replaced=True, again=self.retrain)

    def retrain(self) -> str:
        """Retrain the slow model as a schedule does, and return what came of it."""
        state = self.stack.await_end(self.stack.submit(f"retrain/{SLOW}"))["state"]
        assert state["type"] == "COMPLETED", state
        return str(state["message"])

    def champions(self, *models: str) -> str:
        """Check that each model's champion loads, has its metrics and its lineage, and name them."""
        client, found = self.client(), []
        for model in models:
            version = client.get_model_version_by_alias(model, "champion")
            for tag in ("training_run", "evaluation_run", "dataset_version", "bundle_digest"):
                assert version.tags.get(tag), f"{model} {version.version} has no {tag}"
            assert client.get_run(version.tags["evaluation_run"]).data.metrics
            mlflow.set_tracking_uri(self.stack.mlflow)
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
