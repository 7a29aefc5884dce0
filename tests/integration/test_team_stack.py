"""The stack of deploy/compose.yaml as processes: workers that share nothing but the servers carry a retrain."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
import yaml

from flows.config.settings import Settings
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from gan_models.bundles.description import read_description
from tests.support.checked import present
from tests.support.compose_processes import ComposeProcesses
from tests.support.project import Project, make_project

STEPS = 60


@dataclass(frozen=True)
class Team:
    """A running stack, the projects of its two workers, and a person's own clone."""

    stack: ComposeProcesses
    cpu: Project
    gpu: Project
    laptop: Project

    def atelier(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a person does who has nothing but the addresses of the servers."""
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.laptop.root), **self.stack.addresses}
        return subprocess.run(
            [str(Path(sys.executable).with_name("atelier")), *arguments],
            cwd=self.laptop.root,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture(scope="module")
def team(empty_database: Path) -> Iterator[Team]:
    """After the stack has started with two workers, and a person has put digits into the inbox bucket."""
    folder = Path(tempfile.mkdtemp(prefix="team-"))
    folder.chmod(0o755)
    stack = ComposeProcesses(folder)
    try:
        projects = [_project(folder / name, empty_database) for name in ("cpu", "gpu", "laptop")]
        stack.start_servers()
        _put_digits(stack, projects[0])
        for project in projects[:2]:
            stack.lend_dvc_config(project.root)
        elsewhere = _project(folder / "elsewhere", empty_database)  # deployments hold no folder of who made them
        stack.finish("deployments", elsewhere.root, elsewhere.config)
        shutil.rmtree(elsewhere.root)
        for service, project in zip(("worker-cpu", "worker-no-gpu"), projects[:2], strict=True):
            stack.start(service, project.root, "--health-port", "0")
        yield Team(stack, *projects)
    finally:
        stack.stop()
        shutil.rmtree(folder)


def _project(root: Path, database: Path) -> Project:
    """As an image has it: code and configs, no dataset and no versions."""
    project = make_project(root, database)
    shutil.rmtree(project.images)
    shutil.rmtree(root / ".atelier")
    project.edit("dataset", sources=["s3://inbox/digits"])
    project.edit("train", steps=STEPS)
    config = root / project.config
    config.write_text(config.read_text().replace("Three digits, for tests.", "Drei Ziffern für Prüfungen…"))
    return project


def _put_digits(stack: ComposeProcesses, project: Project) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=stack.s3_endpoint,
        aws_access_key_id="inbox",
        aws_secret_access_key=(stack.secrets / "s3_inbox_key").read_text(),
        region_name="us-east-1",
    )
    project.add_digits(0, 30)
    for image in sorted(project.images.rglob("*.png")):
        client.upload_file(str(image), "inbox", f"digits/{image.relative_to(project.images)}")
    shutil.rmtree(project.images)


def test_a_retrain_goes_from_a_bucket_to_a_promoted_version_on_workers_that_share_nothing(team: Team):
    done = team.atelier("retrain", team.laptop.config, "--on-workers")
    logs = [team.stack.log_of(service, project.root) for service, project in _workers(team)]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *logs])
    assert "promoted" in done.stdout
    settings = Settings(project=team.laptop.root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in team.stack.addresses.items():
            monkeypatch.setenv(name, value)
        tracking = Tracking(settings)
        champion = present(Registry(tracking).at("tiny-digits", "champion"))
        run = champion.tags["training_run"]
        assert yaml.safe_load(tracking.fetch(run, "config.yaml").read_text())["train"]["steps"] == STEPS
        assert read_description(Registry(tracking).fetch_bundle(champion.logged_model_id)).num_steps == STEPS
    assert (team.gpu.root.with_name("gpu-home") / "runs").is_dir(), "trained elsewhere than on the GPU worker"
    assert not (team.laptop.root / ".atelier" / "runs").exists(), "a person's machine trained or measured"

    again = team.atelier("retrain", team.laptop.config, "--on-workers")
    assert again.returncode == 0, again.stdout + again.stderr
    assert [version.version for version in Registry(tracking).versions("tiny-digits")] == ["1"]


def _workers(team: Team) -> list[tuple[str, Project]]:
    return [("worker-cpu", team.cpu), ("worker-no-gpu", team.gpu)]
