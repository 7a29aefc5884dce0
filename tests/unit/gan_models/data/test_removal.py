"""Taking images out of a dataset: only their shards are written anew, and a crash in between is made good."""

from pathlib import Path

import pytest

from gan_models.data.shard_writer import remove_images, write_shards
from gan_models.data.shards import DataError, read_rows, shard_paths
from tests.support.image_rows import files, record, records


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """20 images in three shards and more."""
    write_shards(records(20), tmp_path / "data", shard_bytes=700)
    assert len(shard_paths(tmp_path / "data")) > 2
    return tmp_path / "data"


def ids(directory: Path) -> list[str]:
    return [row["id"] for row in read_rows(directory, ["id"])]


def test_an_image_that_is_removed_leaves_every_other_shard_as_it_was(dataset: Path):
    before, first = files(dataset), ids(dataset)
    gone = first[7]
    assert remove_images(dataset, {gone, "0" * 64}) == {gone}
    assert ids(dataset) == [key for key in first if key != gone]
    after = files(dataset)
    assert len(before.keys() - after.keys()) == len(after.keys() - before.keys()) == 1
    assert all(after[name] == before[name] for name in before.keys() & after.keys())


def test_what_stays_in_a_rewritten_shard_is_what_was_there(dataset: Path):
    rows = read_rows(dataset, ["image", "id", "split", "label", "domain", "width", "height", "source"])
    remove_images(dataset, [rows[3]["id"]])
    assert read_rows(dataset, list(rows[0])) == rows[:3] + rows[4:]


def test_a_shard_of_which_nothing_is_left_goes_and_its_number_is_not_given_again(dataset: Path):
    (*_, last) = shard_paths(dataset)
    first = shard_paths(dataset)[0]
    remove_images(dataset, ids_of(first))
    assert not first.exists()
    write_shards([record(99)], dataset)
    assert shard_paths(dataset)[-1].name[:11] > last.name[:11]
    assert len(ids(dataset)) == len(set(ids(dataset)))


def test_nothing_is_removed_where_nothing_would_be_left(dataset: Path):
    before = files(dataset)
    with pytest.raises(DataError, match="nothing would be left"):
        remove_images(dataset, ids(dataset))
    assert files(dataset) == before


def test_a_removal_that_died_between_two_steps_is_made_good_by_another(dataset: Path, monkeypatch: pytest.MonkeyPatch):
    first = ids(dataset)
    gone = [first[2], first[12]]
    calls = []

    def die_at_the_second(path: Path, **_: object) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        path_unlink(path)

    path_unlink = Path.unlink
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", die_at_the_second)
        with pytest.raises(KeyboardInterrupt):
            remove_images(dataset, gone)
    assert len(ids(dataset)) > len(first) - 2, "a shard is there in its old form and in its new one"
    remove_images(dataset, gone)
    assert ids(dataset) == [key for key in first if key not in gone]


def ids_of(shard: Path) -> list[str]:
    import pyarrow.parquet as pq

    ids: list[str] = pq.read_table(shard, columns=["id"])["id"].to_pylist()
    return ids
