"""Two hosts that work on one model at once, paused, killed and cut off (faults 6, 10, 14, 15, 20 to 23, 44)."""

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from prefect.client.orchestration import get_client

from flows.cli.errors import in_one_line
from flows.config.settings import Settings
from flows.dataset import dataset
from flows.datasets.dvc_remote import set_remote
from flows.datasets.in_use import find_in_use
from flows.datasets.versions import materialize
from flows.evaluate import evaluate, judge
from flows.evaluations.rules import Judgment
from flows.promote import promote
from flows.retrain import retrain
from flows.runtime.records import Evaluation, Promotion
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from flows.train import train
from tests.support.checked import present
from tests.support.hosts import PATIENCE_SECONDS, Host, at_once, second_host
from tests.support.invariants import check_invariants
from tests.support.project import Snapshot, make_project, point_environment
from tests.support.s3_server import S3Server

MODEL = "tiny-digits"


@dataclass(frozen=True)
class World:
    """What two hosts made that began to retrain one model at once, and two models that are measured and not promoted.

    said: what each command printed
    waiting: the evaluations of the two models, that of what the config now makes last
    """

    snapshot: Snapshot
    here: Host
    there: Host
    said: list[str]
    waiting: tuple[Evaluation, Evaluation]

    @property
    def config(self) -> str:
        return self.here.project.config

    def again(self) -> Any:
        return retrain(self.config)


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, prefect_server: str, s3_server: S3Server
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("hosts")
    project = make_project(folder / "here", empty_database)
    database = f"sqlite:///{project.root / '.atelier' / 'mlflow.db'}"
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        for name, value in {**s3_server.environment(), "AWS_ENDPOINT_URL_S3": s3_server.endpoint}.items():
            monkeypatch.setenv(name, value)
        set_remote(Settings(), f"s3://{s3_server.new_bucket()}/versions", s3_server.endpoint)
        here = Host(project, {"PREFECT_API_URL": prefect_server, "MLFLOW_TRACKING_URI": database})
        there = second_host(here, folder / "there")
        said = at_once([host.start("retrain", project.config) for host in (here, there)])
        waiting = []
        for steps in (13, 14):
            project.edit("train", steps=steps)
            waiting.append(evaluate(project.config, train(project.config, dataset(project.config))))
        snapshot = Snapshot(project, tmp_path_factory.mktemp("made"))
        yield World(snapshot, here, there, said, (waiting[0], waiting[1]))


@pytest.fixture
def world(made: World, monkeypatch: pytest.MonkeyPatch) -> World:
    made.snapshot.restore()
    point_environment(monkeypatch, made.here.project)
    return made


@pytest.fixture
def registry(world: World) -> Registry:
    return Registry(Tracking(Settings()))


def aliases(registry: Registry) -> dict[str, str]:
    return registry.aliases(MODEL)


def together(*calls: Callable[[], Any]) -> list[Any]:
    """Make calls at one moment, each in a thread of its own; what each came to."""
    start, results = threading.Barrier(len(calls)), [None] * len(calls)

    def call(number: int) -> None:
        start.wait()
        results[number] = calls[number]()

    threads = [threading.Thread(target=call, args=[number]) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    return results


def test_of_two_hosts_that_retrain_a_model_at_once_one_works_and_the_other_finds_it_done(
    world: World, registry: Registry
):
    """Fault 20."""
    for stage in ("dataset", "train", "evaluate", "promote"):
        skipped = [f"{stage:<9} {name}: nothing new" for name in ("tiny", MODEL)]
        assert sum(any(line in said for line in skipped) for said in world.said) == 1, f"{stage} was done once"
    assert [version.version for version in registry.versions(MODEL)] == ["1"]
    check_invariants(world.config, champion="1", again=world.again, may_be_replaced=True)


def test_images_that_arrive_at_two_hosts_at_once_are_both_in_the_dataset(world: World, registry: Registry):
    """Fault 21."""
    world.here.project.add_digits(30, 40)
    world.there.project.add_digits(40, 50)
    at_once([host.start("dataset", world.config) for host in (world.here, world.there)])
    used = present(find_in_use(Settings(), Tracking(Settings()), "tiny").record)
    assert used.num_train + used.num_evaluation == 90 + 30 + 30
    assert materialize(Settings(), "tiny", used.dvc_md5).exists(), "and can be had here, whoever made it"
    check_invariants(world.config, champion="1", again=world.again)


PAUSED = """
import os, signal, sys
import flows.promote
from flows.runtime.records import Evaluation

check = flows.promote._check_opponent

def pause(*arguments):
    os.kill(os.getpid(), signal.SIGSTOP)
    check(*arguments)

flows.promote._check_opponent = pause
from flows.cli.errors import in_one_line
try:
    flows.promote.promote(sys.argv[1], Evaluation.model_validate_json(sys.argv[2]))
except Exception as error:
    print("error:", in_one_line(error), file=sys.stderr)
    sys.exit(1)
"""


def test_a_promotion_that_wakes_after_another_host_took_it_up_moves_nothing(world: World, registry: Registry):
    """Fault 6."""
    judged = world.waiting[1]
    paused = world.here.start_program(PAUSED, world.config, judged.model_dump_json())
    wait_until_stopped(paused)
    let_its_locks_go(paused)
    decided = promote(world.config, judged)
    assert decided.decision == "promoted"
    registry.point(MODEL, "champion", "1")  # whatever became of it since, as a person may decide
    before = aliases(registry)

    paused.send_signal(signal.SIGCONT)

    _, errors = paused.communicate(timeout=PATIENCE_SECONDS)
    assert paused.returncode == 1
    assert aliases(registry) == before
    assert Tracking(Settings()).record(Promotion, decided.run_id) == decided
    told = next(line for line in errors.splitlines() if line.startswith("error: "))
    assert "was paused or cut off, and attempt 2" in told
    check_invariants(world.config, champion="1", told=told, again=world.again)


def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert process.poll() is None, process.communicate()[1]
        threading.Event().wait(0.05)


def let_its_locks_go(process: subprocess.Popen[str]) -> None:
    """Do what becomes of the locks of a paused host: its lease runs out, and its files are of that host alone."""
    with get_client(sync_client=True) as client:
        client.delete_global_concurrency_limit_by_name(f"atelier-promote-{MODEL}")
    (Settings().state / "locks" / f"promote-{MODEL}").unlink()


def test_a_registration_whose_reply_is_lost_makes_one_version(
    world: World, registry: Registry, monkeypatch: pytest.MonkeyPatch
):
    """Fault 14."""
    create = MlflowClient.create_model_version

    def lose_the_reply(*arguments: Any, **options: Any) -> None:  # a real server loses none on command
        create(*arguments, **options)
        raise MlflowException("request failed") from requests.ConnectionError("connection reset by peer")

    with monkeypatch.context() as context:
        context.setattr(MlflowClient, "create_model_version", lose_the_reply)
        with pytest.raises(MlflowException) as failed:
            promote(world.config, world.waiting[1])
    assert aliases(registry)["champion"] == "1"
    told = present(in_one_line(failed.value))
    *_, promotion = check_invariants(world.config, champion="1", told=told, again=world.again)
    assert promotion.version == "2"
    assert len(registry.versions(MODEL)) == 2


DYING = """
import os, sys
from flows.promote import promote
from flows.runtime.records import Evaluation
from flows.tracking.registry import Registry

point = Registry.point
Registry.point = lambda self, model, alias, version: (
    os._exit(9) if alias == "champion" else point(self, model, alias, version)
)
promote(sys.argv[1], Evaluation.model_validate_json(sys.argv[2]))
"""


def test_a_death_before_the_alias_moves_leaves_the_champion_and_is_made_good_by_the_next_run(
    world: World, registry: Registry
):
    """Fault 15."""
    dying = world.here.start_program(DYING, world.config, world.waiting[1].model_dump_json())
    dying.communicate(timeout=PATIENCE_SECONDS)
    assert dying.returncode == 9
    assert aliases(registry) == {"champion": "1", "previous": "1"}
    registry.point(MODEL, "champion", promote(world.config, world.waiting[0]).version)  # it changes before the next run
    *_, promotion = check_invariants(
        world.config, champion="1", may_be_replaced=True, again=lambda: retrain(world.config)
    )
    assert (promotion.decision, promotion.version) == ("promoted", "2")
    assert promotion.replaced_version == "3", "it was compared with the champion of now"
    assert aliases(registry) == {"champion": "2", "previous": "3"}


def test_two_promotions_at_once_are_decided_in_turn_and_both_are_on_record(world: World, registry: Registry):
    """Fault 22."""
    decisions = together(*(lambda judged=judged: promote(world.config, judged) for judged in world.waiting))
    first, second = sorted(decisions, key=lambda decision: decision.replaced_version)
    assert (first.replaced_version, second.replaced_version) == ("1", first.version)
    assert aliases(registry) == {"champion": second.version, "previous": first.version}
    check_invariants(world.config, champion="1", may_be_replaced=True, again=world.again)


def test_a_champion_that_changes_while_a_model_is_judged_is_noticed_and_it_is_judged_again(
    world: World, registry: Registry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Fault 23."""
    other = promote(world.config, world.waiting[0])
    assert aliases(registry)["champion"] == other.version
    opponents = []

    def judge_while_a_person_rolls_back(ctx: Any, judged: Evaluation, opponent: Any) -> Judgment:
        judgment = judge(ctx, judged, opponent)
        opponents.append(opponent.version)
        registry.point(MODEL, "champion", "1")
        return judgment

    with monkeypatch.context() as context:
        context.setattr("flows.promote.judge", judge_while_a_person_rolls_back)
        promotion = promote(world.config, world.waiting[1])
    assert opponents == [other.version, "1"]
    assert promotion.replaced_version == "1"
    told = f"the champion to beat was version {other.version} and is now version 1; it is decided again"
    assert told in capsys.readouterr().out
    assert aliases(registry) == {"champion": promotion.version, "previous": "1"}
    check_invariants(world.config, champion=promotion.version, again=world.again)


def test_a_trigger_that_is_delivered_twice_leads_to_one_version(world: World, registry: Registry):
    """Fault 44."""
    outcomes = together(world.again, world.again)
    assert sorted(promotion.skipped for *_, promotion in outcomes) == [False, True]
    assert len({promotion.run_id for *_, promotion in outcomes}) == 1
    assert len(registry.versions(MODEL)) == 2
    check_invariants(world.config, champion="1", may_be_replaced=True, again=world.again)


@pytest.mark.parametrize("variable", ["PREFECT_API_URL", "MLFLOW_TRACKING_URI"])
def test_a_server_that_is_down_at_the_start_is_named_and_nothing_is_half_done(
    world: World, dead_address: str, variable: str
):
    """Fault 10."""
    host = Host(world.here.project, {**world.here.addresses, variable: dead_address})
    _, errors = (command := host.start("retrain", world.config)).communicate(timeout=PATIENCE_SECONDS)
    assert command.returncode == 1
    assert dead_address in errors
    check_invariants(world.config, champion="1", told=errors, again=world.again)
