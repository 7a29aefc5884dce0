"""`atelier deploy`: what a Prefect server has to have for runs on workers, made once and kept as it should be."""

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectAlreadyExists

from flows.cli.automations import keep_automation, wanted
from flows.config.model_config import read_model_config
from flows.config.settings import Settings
from flows.runtime.deployments import TAG, our_deployments
from gan_models.errors import AtelierError

POOLS = ("cpu", "gpu")


class DeploymentError(AtelierError):
    """Deployments that could not be created; the message says why."""


def deploy(settings: Settings, configs: list[str] | None = None) -> list[str]:
    """Create the work pools, deployments and automations that are not there yet; what a person set in Prefect stays.

    Args:
        configs: relative to the project. Models that prefect.yaml does not name get deployments without schedules.

    Returns:
        A line for each of them, for a person.

    Raises:
        DeploymentError: Prefect refused the deployments.
    """
    with get_client(sync_client=True) as client:
        lines = [f"work pool {name}: {_keep_pool(client, name)}" for name in POOLS]
        before = _by_name(client)
        _prefect_deploy(settings, configs or [], before)
        lines += [
            f"deployment {name}: {'is there' if name in before and before[name].id == known.id else 'created'}"
            for name, known in sorted(_by_name(client).items())
        ]
        lines += [f"automation '{each.name}': {keep_automation(client, each)}" for each in wanted(settings)]
    return lines


def _keep_pool(client: SyncPrefectClient, name: str) -> str:
    """Create a pool without a limit, which is each worker's to have: it knows how many GPUs its machine has."""
    try:
        client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    except ObjectAlreadyExists:
        limit = client.read_work_pool(name).concurrency_limit
        return "is there, " + ("without a limit" if limit is None else f"{limit} at once")
    return "created"


def _by_name(client: SyncPrefectClient) -> dict[str, DeploymentResponse]:
    """Return our deployments by their whole names, such as `train/digits-generator`."""
    flow = cache(client.read_flow)
    return {f"{flow(deployment.flow_id).name}/{deployment.name}": deployment for deployment in our_deployments(client)}


def _prefect_deploy(settings: Settings, configs: list[str], before: dict[str, DeploymentResponse]) -> None:
    content = yaml.safe_load((settings.root / "prefect.yaml").read_text())
    wanted = [*content["deployments"], *_missing(settings, content["deployments"], configs)]
    content["deployments"] = [_as_it_stays(one, before) for one in wanted]
    file = settings.state / "prefect.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all", "--prefect-file", str(file)]
    done = subprocess.run(command, cwd=settings.root, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    log = settings.state / "logs" / "deployments.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text(done.stdout + done.stderr)
    if done.returncode:
        raise DeploymentError(f"the deployments of prefect.yaml could not be created; see {log}")


def _missing(settings: Settings, deployments: list[dict[str, Any]], configs: list[str]) -> Iterator[dict[str, Any]]:
    """Yield a deployment without schedules for each stage of a config's model that has none."""
    named = {(one["entrypoint"], one["name"]) for one in deployments}
    stages = {one["entrypoint"]: one for one in reversed(deployments)}
    for config in dict.fromkeys(configs):
        name = read_model_config(settings.root / config).name
        for stage in stages.values():
            if (stage["entrypoint"], name) not in named:
                yield {**stage, "name": name, "schedules": [], "parameters": {**stage["parameters"], "config": config}}


def _as_it_stays(deployment: dict[str, Any], before: dict[str, DeploymentResponse]) -> dict[str, Any]:
    """Return a deployment with our tag that keeps what a person did in Prefect: its tags, its schedules' switches."""
    flow = deployment["entrypoint"].rpartition(".")[2]
    known = before.get(f"{flow}/{deployment['name']}")
    slugs = {schedule.slug for schedule in known.schedules} if known else set()
    schedules = [
        {key: value for key, value in one.items() if key != "active" or one.get("slug") not in slugs}
        for one in deployment.get("schedules", [])
    ]
    tags = {TAG, *deployment.get("tags", []), *(known.tags if known else [])}
    return {**deployment, "schedules": schedules, "tags": sorted(tags)}
