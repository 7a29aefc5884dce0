"""Photographs from a folder, an archive and a bucket become one dataset in S3, and a model in production."""

import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.config.settings import Settings
from flows.dataset import dataset
from flows.datasets.dvc_file import tracked_md5
from flows.datasets.dvc_remote import set_remote
from flows.datasets.versions import materialize
from flows.retrain import retrain
from flows.runtime.records import DatasetVersion, Promotion
from flows.sources.base import SourceItem
from flows.sources.open import open_source
from flows.tracking.registry import Registry
from flows.tracking.runs import Tracking
from gan_models.data.shards import read_rows
from tests.support.checked import present
from tests.support.project import Project, make_project, point_environment
from tests.support.s3_server import S3Server

pytestmark = pytest.mark.usefixtures("prefect_server")

NOISE = {"kind": "denoise", "name": "noise", "sigma_min": 40, "sigma_max": 40}


@dataclass(frozen=True)
class World:
    """A project whose photographs lie in three places, and whose versions go to a bucket."""

    project: Project
    server: S3Server
    bucket: str
    decision: Promotion
    version: DatasetVersion
    tracked: str | None  # what data.dvc named after that retrain, before any test added to the sources

    def put(self, name: str, content: bytes) -> None:
        self.server.client().put_object(Bucket=self.bucket, Key=f"inbox/{name}", Body=content)

    def stored(self) -> dict[str, int]:
        """Sizes of the objects that DVC keeps."""
        found = self.server.client().list_objects_v2(Bucket=self.bucket, Prefix="versions/")
        return {entry["Key"]: entry["Size"] for entry in found["Contents"]}


def photographs() -> list[SourceItem]:
    return [item for item in open_source("builtin:photos", Path()).items() if item.path != "retina.jpg"]  # a large one


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path, prefect_server: str, s3_server: S3Server
) -> Iterator[World]:
    """After the first `atelier retrain`."""
    project, bucket = make_project(tmp_path_factory.mktemp("three") / "project", empty_database), s3_server.new_bucket()
    first, second, third = photographs()[:5], photographs()[5:10], photographs()[10:-1]
    for item in first:
        (project.root / "photos").mkdir(exist_ok=True)
        (project.root / "photos" / item.path).write_bytes(item.read())
    with zipfile.ZipFile(project.root / "sent.zip", "w") as archive:
        for item in second:
            archive.writestr(item.path, item.read())
    for item in third:
        s3_server.client().put_object(Bucket=bucket, Key=f"inbox/{item.path}", Body=item.read())
    s3_server.client().put_object(Bucket=bucket, Key="inbox/cut-short.jpg", Body=third[0].read()[:2000])
    sources = ["photos", "sent.zip", f"s3://{bucket}/inbox"]
    project.edit("dataset", sources=sources, tile=32, max_tiles_per_image=8, max_quarantined_share=0.1)
    image = {"size": 32, "channels": 3, "fit": "crop"}
    recipe = {"name": "restore", "width": 8, "blocks": [1, 1], "degradations": [NOISE], "adversarial_from": 1.0}
    project.edit("train", image=image, recipe=recipe, steps=40, batch_size=16)
    project.edit("evaluate", degradations=[NOISE])
    project.edit("promote", rules=[{"metric": "noise/psnr_gain", "at_least": 0.0}])
    with pytest.MonkeyPatch.context() as monkeypatch:
        point_environment(monkeypatch, project)
        for name, value in {**s3_server.environment(), "AWS_ENDPOINT_URL_S3": s3_server.endpoint}.items():
            monkeypatch.setenv(name, value)
        set_remote(Settings(), f"s3://{bucket}/versions", s3_server.endpoint)
        version, _, _, decision = retrain(project.config)
        yield World(project, s3_server, bucket, decision, version, tracked_md5(Settings(), "tiny"))


def test_photographs_of_all_three_are_in_the_model_that_was_promoted(world: World):
    champion = present(Registry(Tracking(Settings())).at("tiny-digits", "champion"))
    assert world.decision.decision == "promoted"
    assert champion.tags["dataset_version"] == world.tracked == world.version.dvc_md5
    rows = read_rows(materialize(Settings(), "tiny", champion.tags["dataset_version"]), ["source", "split"])
    from_where = Counter(row["source"].rpartition("/")[0] for row in rows)
    assert from_where == {"photos": 40, "sent.zip": 40, f"s3://{world.bucket}/inbox": 8 * (len(photographs()) - 11)}
    assert {row["split"] for row in rows} == {"train", "evaluation"}


def test_the_file_that_was_no_photograph_is_set_aside_and_told_of(world: World):
    assert world.version.num_quarantined == 1
    listed = (world.project.root / ".atelier" / "quarantine" / "tiny" / "quarantine.csv").read_text()
    table = Tracking(Settings()).fetch(world.version.run_id, "quarantined.json").read_text()
    for text in (listed, table):
        assert "cut-short.jpg" in text
        assert "is damaged or truncated" in text


def test_what_arrives_in_the_bucket_costs_its_own_bytes_alone(world: World):
    before = world.stored()
    world.put("late.jpg", photographs()[-1].read())
    grown = dataset(world.project.config)
    added = {key: size for key, size in world.stored().items() if key not in before}
    assert grown.num_train + grown.num_evaluation == world.version.num_train + world.version.num_evaluation + 8
    assert before.items() <= world.stored().items()
    assert sum(added.values()) < 0.2 * sum(before.values())
