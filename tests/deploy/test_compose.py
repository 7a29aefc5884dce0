"""What compose.yaml promises, asked of Compose itself: its own parser reads the file, no Docker daemon is needed."""

import re
from pathlib import Path

import pytest

from flows.config.settings import Settings
from flows.runtime.grace import CONTAINER_SECONDS, FLOW_SECONDS, TRAINER_SECONDS, WORKER_SECONDS
from tests.support.compose_processes import resolved_compose

DEPLOY = Path(__file__).parents[2] / "deploy"
SECRET_WORDS = re.compile(r"password|secret|key|token|auth_string", re.IGNORECASE)


@pytest.fixture(scope="module")
def compose():
    return resolved_compose()


@pytest.fixture(scope="module")
def services(compose):
    return compose["services"]


def environments(services):
    return [
        (name, key, str(value)) for name, it in services.items() for key, value in it.get("environment", {}).items()
    ]


def test_the_stack_has_every_part(services):
    assert set(services) == {
        "postgres", "s3", "buckets", "prefect-server", "mlflow-server", "deployments",
        "worker-cpu", "worker-no-gpu", "worker-gpu", "worker-beside-gpu", "metrics", "prometheus", "grafana",
    }  # fmt: skip


def test_prefect_and_mlflow_do_not_share_a_database(services):
    prefect = services["prefect-server"]["environment"]["PREFECT_SERVER_DATABASE_NAME"]
    uri = next(word for word in services["mlflow-server"]["command"] if word.startswith("--backend-store-uri="))
    assert prefect != uri.rsplit("/", 1)[1]
    created = re.search(r"for name in (.*); do", (DEPLOY / "postgres" / "databases.sh").read_text())
    assert created is not None
    assert set(created[1].split()) == {prefect, uri.rsplit("/", 1)[1]}


def test_every_service_has_a_health_check_or_is_a_one_shot_that_others_wait_for(services):
    waited_for = {
        dependency
        for service in services.values()
        for dependency, how in (service.get("depends_on") or {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    without = {name for name, it in services.items() if it.get("healthcheck", {"disable": True}).get("disable")}
    assert without == waited_for == {"buckets", "deployments"}


def test_nothing_waits_for_a_service_merely_to_have_started(services):
    conditions = {how["condition"] for it in services.values() for how in (it.get("depends_on") or {}).values()}
    assert conditions == {"service_healthy", "service_completed_successfully"}


def test_a_worker_is_given_the_time_that_its_runs_need_to_end(services):
    assert {it.get("stop_grace_period") for name, it in services.items() if name.startswith("worker")} == {"2m0s"}
    assert TRAINER_SECONDS < FLOW_SECONDS < WORKER_SECONDS < CONTAINER_SECONDS == 120


def test_no_secret_stands_in_the_environment_or_on_a_command_line(services):
    for name, key, value in environments(services):
        if SECRET_WORDS.search(key) and key != "AWS_ACCESS_KEY_ID":  # the name of an S3 user
            assert key.endswith("_FILE"), f"{name}: {key} should come from a file"
            assert value.startswith("/run/secrets/")
    for service in services.values():
        for word in service.get("command") or []:
            assert not re.search(r"://[^/@]*:[^/@]*@", word), "a password in an address"


def test_every_secret_file_a_service_reads_is_given_to_it_and_created_by_the_script(compose, services):
    for name, _, value in environments(services):
        if value.startswith("/run/secrets/"):
            assert Path(value).name in {secret["source"] for secret in services[name]["secrets"]}
    created = re.search(r"for name in (.*); do", (DEPLOY / "secrets" / "create.sh").read_text())
    assert created is not None
    assert set(created[1].split()) == set(compose["secrets"])


def test_ports_are_open_to_this_machine_only(services):
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert {port["target"] for port in published} == {4200, 5000, 8333, 9108, 9090, 3000}
    assert {port.get("host_ip") for port in published} == {"127.0.0.1"}


def test_every_service_is_confined(services):
    for name, service in services.items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["mem_limit"]) > 0, name
        assert service["restart"] != "always", name


def test_no_service_asks_for_more_processors_than_a_laptop_has(services):
    """Docker refuses to start a container whose limit is above what the machine has."""
    for name, service in services.items():
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        assert "cpus" not in service, name
        assert "cpus" not in limits, name


def test_servers_outweigh_workers_where_processors_are_short(services):
    workers = {it["cpu_shares"] for name, it in services.items() if name.startswith("worker")}
    servers = {services[name]["cpu_shares"] for name in ("postgres", "s3", "prefect-server", "mlflow-server")}
    assert max(workers) < min(servers)


def test_whoever_stops_a_worker_waits_longer_than_the_worker_does_for_its_trainers_checkpoint(services):
    given = {it["stop_grace_period"] for name, it in services.items() if name.startswith("worker")}
    assert given == {f"{CONTAINER_SECONDS / 60:.0f}m0s"}
    assert TRAINER_SECONDS < FLOW_SECONDS < WORKER_SECONDS < CONTAINER_SECONDS


def test_a_server_that_starts_again_knows_who_holds_which_slot(services):
    """Prefect keeps leases in memory by default; a slot whose lease is lost stays taken for ever."""
    server = services["prefect-server"]
    home = server["environment"]["PREFECT_HOME"]
    assert server["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith(".filesystem")
    assert any(home.startswith(volume["target"]) for volume in server["volumes"])


def test_the_stack_starts_without_a_gpu_and_with_one_both_pools_have_a_worker_that_sees_it(services):
    resources = {name: it.get("deploy", {}).get("resources", {}) for name, it in services.items()}
    needing = {name for name, of_it in resources.items() if of_it.get("reservations")}
    assert needing == {name for name, it in services.items() if it.get("profiles") == ["gpu"]}
    for profile in ("gpu", "no-gpu"):
        workers = [it["command"] for it in services.values() if it.get("profiles") == [profile]]
        assert sorted(command[-1] for command in workers) == ["cpu", "gpu"]


def test_who_holds_which_gpu_is_known_to_all_containers_that_see_it(services):
    for worker in (services["worker-gpu"], services["worker-beside-gpu"]):
        shared = [mount["target"] for mount in worker["volumes"] if mount["type"] == "volume"]
        assert any(worker["environment"]["ATELIER_GPU_LOCKS"].startswith(folder) for folder in shared)


def test_servers_keep_to_themselves(services):
    mlflow = services["mlflow-server"]
    allowed = next(word for word in mlflow["command"] if word.startswith("--allowed-hosts=")).split("=")[1].split(",")
    assert "*" not in allowed
    assert "mlflow-server:5000" in allowed
    assert mlflow["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert mlflow["environment"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert services["prefect-server"]["environment"]["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_every_variable_of_ours_is_one_that_the_code_reads(services):
    ours = {key for _, key, _ in environments(services) if key.startswith("ATELIER_")}
    ours |= set(re.findall(r"\b(ATELIER_[A-Z_]+)=", (DEPLOY / "Dockerfile").read_text()))
    assert ours <= {f"ATELIER_{field.upper()}" for field in Settings.model_fields}
