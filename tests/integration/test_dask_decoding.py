"""Decoding on a real Dask cluster of two workers, by Prefect's own task runner."""

import sys

import dask
import pytest
from distributed import Client, LocalCluster
from mlflow import MlflowClient

from flows.dataset import dataset
from flows.sources.base import SourceError
from gan_models.data.shards import shard_paths
from tests.support.project import make_project, point_environment

pytestmark = pytest.mark.usefixtures("prefect_server")


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of its own."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as running:
        yield running


def test_two_workers_make_byte_for_byte_what_one_machine_makes(project, tmp_path, empty_database, cluster, monkeypatch):
    (project.images / "digit-0" / "bad.png").write_text("not an image")
    project.edit("dataset", max_quarantined_share=0.1)
    here = dataset(project.config)
    elsewhere = make_project(tmp_path / "elsewhere", empty_database)
    point_environment(monkeypatch, elsewhere)
    monkeypatch.setenv("ATELIER_DASK_ADDRESS", cluster.scheduler_address)
    (elsewhere.images / "digit-0" / "bad.png").write_text("not an image")
    elsewhere.edit("dataset", max_quarantined_share=0.1)
    there = dataset(elsewhere.config)
    assert there.num_quarantined == here.num_quarantined == 1
    assert there.dvc_md5 == here.dvc_md5
    made = [[path.read_bytes() for path in shard_paths(one.root / "data" / "tiny")] for one in (project, elsewhere)]
    assert made[0] == made[1]
    with Client(cluster) as client:
        decoded = client.run(lambda: "gan_models.ingest.decode_pool" in sys.modules)
    assert any(decoded.values()), "the cluster did the work"
    assert MlflowClient().get_run(there.run_id).data.metrics["images/new"] == 90


def test_a_cluster_that_does_not_answer_is_told(project, dead_address, monkeypatch):
    monkeypatch.setenv("ATELIER_DASK_ADDRESS", dead_address.replace("http", "tcp"))
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(SourceError, match=r"the Dask scheduler at tcp://.* does not answer; start it or unset"),
    ):
        dataset(project.config)
    assert not (project.root / "data" / "tiny").exists()
