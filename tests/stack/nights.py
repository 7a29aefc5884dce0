"""What nobody is to notice: nights, upgrades, a backup and a restore."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from sklearn.datasets import load_digits

from tests.stack.models import Models
from tests.stack.stack import COMPOSE, ROOT, run
from tests.support.project import LABELS


class Nights(Models):
    """The steps in which nothing goes wrong."""

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

    def upgrade(self) -> str:
        self.stack.atelier("retrain", "configs/digits-generator.yaml", "--on-workers")
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
        self.stack.atelier("retrain", "configs/digits-generator.yaml", "--on-workers")
        before = self.versions()
        backup = self.stack.folder / "backup"
        environment = {**self.stack.environment, "COMPOSE": " ".join(COMPOSE)}
        run_id = self.slow_training()
        said = run(["sh", str(ROOT / "deploy/backup/backup.sh"), str(backup)], environment)
        self.stack.remove()
        run(["sh", str(ROOT / "deploy/backup/restore.sh"), str(backup)], environment)
        self.stack.start()
        assert all(set(self.versions()[model]) >= set(numbers) for model, numbers in before.items())
        recovered = self.recovered(run_id)
        found = self.champions(*before)
        again = self.stack.atelier("retrain", "configs/digits-generator.yaml", "--on-workers")
        assert "nothing new" in again, again
        return f"{said.strip().split(': ')[-1]}; {found}; nothing new; the training: {recovered}"

    def digits(self, first: int, last: int) -> Path:
        """Return a folder with digits first to last of each label."""
        digits = load_digits()
        folder = self.stack.folder / f"digits-{first}"
        for label in LABELS:
            (folder / str(label)).mkdir(parents=True)
            for number, pixels in enumerate(digits.images[digits.target == label][first:last], start=first):
                Image.fromarray((pixels / 16 * 255).round().astype("uint8")).save(folder / str(label) / f"{number}.png")
        return folder
