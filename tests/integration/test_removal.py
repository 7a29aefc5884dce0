"""Withdrawing images: a record, a new version without them, only their shard new, and they never come back."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from flows.config.model_config import read_model_config
from flows.config.settings import Settings
from flows.dataset import dataset
from flows.datasets import versions as dataset_versions
from flows.datasets.dvc_file import tracked_md5
from flows.datasets.errors import VersioningError
from flows.datasets.history import choose, compare, versions
from flows.datasets.removal import remove_from_dataset
from flows.datasets.withdrawals import RemovalError, decided, withdrawals, write_list
from flows.runtime.records import DatasetVersion
from flows.tracking.runs import Tracking
from gan_models.data.shards import read_rows, shard_paths
from tests.support.dataset_stage import Built, become
from tests.support.project import Project


def version_of(project: Project) -> DatasetVersion:
    """Build a version; the stage is called as a plain function: that it runs as a flow is for its own tests."""
    return dataset.fn(project.config)


@pytest.fixture(scope="module")
def grown_once(tmp_path_factory: pytest.TempPathFactory, built_once: Built) -> Project:
    project = Project(tmp_path_factory.mktemp("grown") / "project")
    with pytest.MonkeyPatch.context() as monkeypatch:
        become(built_once.project, project, monkeypatch)
        project.add_digits(30, 40)
        version_of(project)
    return project


@pytest.fixture
def grown(project: Project, grown_once: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with two versions: 90 digits, then 30 more in a second shard."""
    become(grown_once, project, monkeypatch)
    return project


def rows(project: Project) -> dict[str, dict[str, str]]:
    return {row["id"]: row for row in read_rows(project.root / "data" / "tiny", ["id", "split", "source"])}


@pytest.fixture
def remove(project: Project) -> Callable[..., DatasetVersion]:
    def call(*ids: str, sources: tuple[str, ...] = (), reason: str = "asked by mail") -> DatasetVersion:
        settings = Settings()
        config = read_model_config(project.root / project.config).dataset
        return remove_from_dataset(
            settings, Tracking(settings), config, ids=ids, sources=sources, reason=reason, who="Ada"
        )

    return call


def test_a_withdrawn_image_is_gone_from_the_new_version_and_never_comes_back(
    grown: Project, remove: Callable[..., DatasetVersion]
):
    before, shards = rows(grown), [path.name for path in shard_paths(grown.root / "data" / "tiny")]
    gone = next(key for key in before if before[key]["source"].endswith("digit-7/003.png"))
    version = remove(gone[:12], reason="the writer asked\nfor it")
    assert set(rows(grown)) == set(before) - {gone}
    after = [path.name for path in shard_paths(grown.root / "data" / "tiny")]
    assert len(set(shards) - set(after)) == 1, "only its shard was written anew"

    (entry,) = csv.DictReader((grown.root / "data" / "tiny.withdrawn.csv").open())
    assert (entry["id"], entry["who"], entry["reason"]) == (gone, "Ada", "the writer asked for it")
    assert entry["source"].endswith("digit-7/003.png")
    assert entry["when"].endswith("Z")

    grown.add_digits(40, 44)
    again = version_of(grown)
    assert again.dvc_md5 != version.dvc_md5
    assert gone not in rows(grown), "it is in its folder still, and stays out"
    both = before.keys() & rows(grown).keys()
    assert [key for key in both if before[key]["split"] != rows(grown)[key]["split"]] == [], "none changed its split"


def test_the_history_tells_what_was_added_and_what_was_withdrawn_by_whom(
    grown: Project, remove: Callable[..., DatasetVersion]
):
    remove(next(iter(rows(grown))))
    settings = Settings()
    known = versions(settings, Tracking(settings), "tiny")
    assert [version.in_use for version in known] == [False, False, True]
    assert known[-1].change == "1 withdrawn by Ada: asked by mail"
    added = compare(settings, "tiny", known[0], known[1])
    assert (len(added.added), len(added.removed), added.moved) == (30, 0, ())
    assert added.kept_shards
    withdrawn = compare(settings, "tiny", known[1], choose(known, "tiny", None))
    assert (len(withdrawn.added), len(withdrawn.removed)) == (0, 1)
    assert len(withdrawn.new_shards) == len(withdrawn.gone_shards) == 1
    with pytest.raises(VersioningError, match="names no version of 'tiny'; there are"):
        choose(known, "tiny", "fffffff")
    old = dataset_versions.materialize(settings, "tiny", known[0].md5)
    assert len(read_rows(old, ["id"])) == 90, "what was trained on once can be had again"


def test_a_removal_whose_version_could_not_be_sent_is_ended_by_asking_again(
    grown: Project, remove: Callable[..., DatasetVersion]
):
    tracked = tracked_md5(Settings(), "tiny")
    gone = next(iter(rows(grown)))
    remote = grown.root / ".atelier" / "dvc-remote"
    moved = remote.rename(remote.with_name("moved"))
    remote.write_text("a file where the remote should be")
    with pytest.raises(VersioningError):
        remove(gone)
    assert tracked_md5(Settings(), "tiny") == tracked
    assert gone in withdrawals(Settings(), "tiny"), "what was asked for is not forgotten"
    remote.unlink()
    moved.rename(remote)
    version = remove(gone)
    assert version.num_train + version.num_evaluation == 119
    assert remove(gone).skipped, "asked a third time, there is nothing to do"


def test_all_images_of_a_source_are_named_by_it_and_mistakes_change_nothing(
    project: Project, remove: Callable[..., DatasetVersion]
):
    with pytest.raises(RemovalError, match="has no version yet"):
        remove("0" * 64)
    version_of(project)
    source = next(iter(rows(project).values()))["source"]
    for ids, sources, reason, said in (
        (["0" * 64], (), "x", "is of no image in the dataset"),
        (["abc"], (), "x", "too short; give 8"),
        ([], (source.split("/")[-1],), "x", "did you mean"),
        ([], (source,), "  ", "give one with --reason"),
    ):
        with pytest.raises(RemovalError, match=said):
            remove(*ids, sources=sources, reason=reason)
    assert not (project.root / "data" / "tiny.withdrawn.csv").exists()
    assert remove(sources=(source,)).num_train + remove(sources=(source,)).num_evaluation == 89


def test_a_list_holds_no_formula_and_is_read_back_as_it_was_meant(project: Project):
    settings = Settings()
    source = "inbox/=cmd|' -C calc'!A0.png"
    first = decided(settings, {"a" * 64: source}, reason="-1, please", who="@ada")
    write_list(settings, "tiny", first | decided(settings, {"b" * 64: "inbox/2.png"}, reason="'quoted'", who="Bob"))
    listed = withdrawals(settings, "tiny")
    assert (listed["a" * 64].source, listed["a" * 64].reason, listed["a" * 64].who) == (source, "-1, please", "@ada")
    assert listed["b" * 64].reason == "'quoted'"
    with (project.root / "data/tiny.withdrawn.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.usefixtures("built")
def test_a_list_that_cannot_be_read_stops_every_version(project: Project):
    project.add_digits(30, 31)
    (project.root / "data" / "tiny.withdrawn.csv").write_text("id,sauce\n1,2\n")
    with pytest.raises(RemovalError, match=r"git checkout data/tiny\.withdrawn\.csv"):
        version_of(project)


def test_tiles_of_a_withdrawn_photograph_stay_out_however_it_is_cut(
    project: Project, remove: Callable[..., DatasetVersion], tmp_path: Path
):
    shutil.rmtree(project.images)
    project.images.mkdir()
    for number in range(12):
        Image.effect_noise((64, 64), 90).save(project.images / f"{number}.png")
    project.edit("dataset", tile=32)
    version_of(project)
    remove(sources=("inbox/3.png",))
    project.edit("dataset", tile=16)
    version_of(project)
    sources = {row["source"] for row in rows(project).values()}
    assert "inbox/3.png" not in sources
    assert len(sources) == 11


def test_a_new_clone_goes_on_with_the_shards_of_the_version_in_use(grown: Project):
    shards = {path.name for path in shard_paths(grown.root / "data" / "tiny")}
    shutil.rmtree(grown.root / "data" / "tiny")
    shutil.rmtree(grown.root / ".atelier" / "file-cache", ignore_errors=True)
    shutil.rmtree(grown.images / "digit-0")
    grown.add_digits(40, 42)
    version = version_of(grown)
    assert version.num_train + version.num_evaluation == 126, "what left its folder is kept"
    assert shards < {path.name for path in shard_paths(grown.root / "data" / "tiny")}
