"""What a build says of the images it takes: pairs, near duplicates, drift, expectations; and a disk that is full."""

import csv
import sqlite3
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from flows.config.dataset_section import SourceConfig
from flows.datasets.builder import DatasetRefusedError, build_dataset
from flows.datasets.near_duplicates import Candidate, HashedImage, NearDuplicates, confirm, nearest
from flows.datasets.withdrawals import find_images
from flows.sources.open import open_source
from gan_models.data.shards import read_rows
from gan_models.escaping import from_csv
from gan_models.ingest.decoding import decode
from gan_models.ingest.perceptual_hash import MIN_CORRELATION, near_duplicates


def put(path, seed, size=(16, 16), add=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 200, (size[1], size[0], 3)) + add
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def build(root, *sources, **options):
    opened = [open_source(SourceConfig.model_validate(source), root) for source in sources or ["images"]]
    settings = {"evaluation_share": 0.4, "max_quarantined_share": 0.0, "quarantine": root / "quarantine"}
    return build_dataset(opened, root / "data", **(settings | options))


@pytest.fixture
def folder(tmp_path):
    """Forty images of two labels in `images`, under the path that is returned."""
    for seed in range(40):
        put(tmp_path / f"images/{'ab'[seed % 2]}/{seed}.png", seed)
    return tmp_path


# Pairs

FACADES = {"path": "facades", "pairs": {"photo": "A", "map": "B"}}


@pytest.fixture
def facades(tmp_path):
    """Ten pairs: `facades/A/<n>.png` and `facades/B/<n>.bmp`."""
    for seed in range(10):
        put(tmp_path / f"facades/A/{seed}.png", seed)
        put(tmp_path / f"facades/B/{seed}.bmp", 100 + seed)
    return tmp_path


def rows_of(root):
    return read_rows(root / "data", ["id", "pair", "domain", "split", "source", "label", "image"])


def test_both_sides_of_a_pair_have_one_key_and_one_split(facades):
    report = build(facades, FACADES)
    assert (report.num_new, report.quarantined) == (20, ())
    by_pair: dict[str, list] = {}
    for row in rows_of(facades):
        by_pair.setdefault(row["pair"], []).append(row)
    assert len(by_pair) == 10
    for key, sides in by_pair.items():
        assert {row["domain"] for row in sides} == {"photo", "map"}
        assert len({row["split"] for row in sides}) == 1
        assert key == next(row["id"] for row in sides if row["domain"] == "photo")
        assert len({row["source"].split("/")[-1].split(".")[0] for row in sides}) == 1
    again = build(facades, FACADES)
    assert (again.num_new, again.num_known, again.content_digest) == (0, 20, report.content_digest)


def test_with_one_side_of_a_pair_the_other_is_withdrawn(facades):
    build(facades, FACADES)
    one = rows_of(facades)[0]
    found = find_images(facades / "data", {}, [one["id"]], [])
    assert set(found) == {row["id"] for row in rows_of(facades) if row["pair"] == one["pair"]}
    assert len(found) == 2


def test_sides_that_are_matched_otherwise_than_before_are_set_aside_and_said(facades):
    build(facades, FACADES)
    one, other = facades / "facades/B/0.bmp", facades / "facades/B/1.bmp"
    one.rename(facades / "aside")
    other.rename(one)
    (facades / "aside").rename(other)
    report = build(facades, FACADES, max_quarantined_share=0.5)
    assert {file.path for file in report.quarantined} == {"A/0.png", "A/1.png", "B/0.bmp", "B/1.bmp"}
    assert all("in the dataset already, with another partner" in file.reason for file in report.quarantined)


def test_tiles_of_a_pair_are_pairs(facades):
    for seed in range(10):
        put(facades / f"facades/A/{seed}.png", seed, size=(48, 32))
        put(facades / f"facades/B/{seed}.bmp", 100 + seed, size=(48, 32))
    assert build(facades, FACADES, tile=16).num_new == 2 * 10 * 6
    rows = {row["id"]: row for row in rows_of(facades)}
    for row in rows.values():
        partner = rows[row["pair"]]
        corner, other = (row["image"]["path"].split("-", 1)[1] for row in (row, partner))
        assert corner == other
        assert partner["split"] == row["split"]


@pytest.mark.parametrize(
    ("harm", "reasons"),
    [
        (lambda root: (root / "facades/B/3.bmp").unlink(), {"the other side of its pair is missing"}),
        (lambda root: put(root / "facades/C/1.png", 7), {"the other side of its pair is missing"}),
        (lambda root: put(root / "facades/B/3.bmp", 1, (20, 16)), {"the two sides of its pair differ in size"}),
        (lambda root: put(root / "facades/B/3.png", 5), {"several files of one side have the name of its pair"}),
        (
            lambda root: (root / "facades/B/3.bmp").write_bytes(b""),
            {"the file is empty", "the other side of its pair cannot be used: B/3.bmp"},
        ),
        (
            lambda root: Image.open(root / "facades/A/3.png").save(root / "facades/B/3.bmp"),
            {"both sides of its pair are the same picture"},
        ),
    ],
)
def test_a_pair_that_is_not_whole_is_set_aside_whole(facades, harm, reasons):
    harm(facades)
    with pytest.raises(DatasetRefusedError, match="cannot be used, more than the 0% allowed"):
        build(facades, FACADES)
    report = build(facades, FACADES, max_quarantined_share=0.2)
    assert {entry.reason for entry in report.quarantined} == reasons
    assert all(len([row for row in rows_of(facades) if row["pair"] == one["pair"]]) == 2 for one in rows_of(facades))


# Near duplicates across the splits


def test_near_duplicates_across_the_splits_are_told(tmp_path):
    (tmp_path / "images").mkdir()
    pieces = [Image.fromarray(one).crop((x, y, x + 160, y + 160)) for one in load_sample_images().images
              for x in range(0, 480, 160) for y in range(0, 320, 160)]  # fmt: skip
    for number, piece in enumerate(pieces):
        piece.save(tmp_path / f"images/{number}.png")
        piece.resize((80, 80)).save(tmp_path / f"images/{number}-small.jpg")
    report = build(tmp_path)
    split = {row["source"]: row["split"] for row in read_rows(tmp_path / "data", ["source", "split"])}
    apart = [n for n in range(12) if split[f"images/{n}.png"] != split[f"images/{n}-small.jpg"]]
    told = {frozenset((pair.train, pair.evaluation)) for pair in report.near_duplicates}
    assert apart
    assert {frozenset((f"images/{n}.png", f"images/{n}-small.jpg")) for n in apart} == told
    assert all(split[pair.train] == "train" for pair in report.near_duplicates)
    assert all(split[pair.evaluation] == "evaluation" for pair in report.near_duplicates)
    assert "almost the same across the splits" in report.in_words()
    assert {frozenset((pair.train, pair.evaluation)) for pair in build(tmp_path).near_duplicates} == told


# Drift


def test_the_first_version_has_nothing_to_drift_from(folder):
    assert build(folder).drift is None


def test_new_images_of_another_kind_can_refuse_a_version(folder):
    first = build(folder)
    for seed in range(100, 140):
        put(folder / f"images/a/{seed}.png", seed, add=55)
    limits = {"labels": 0.6, "brightness": 3.0}
    with pytest.raises(DatasetRefusedError, match=r"differ from those before: brightness by .* and 3 is allowed"):
        build(folder, max_drift=limits)
    assert len(read_rows(folder / "data", ["id"])) == 40
    report = build(folder, max_drift=limits | {"brightness": None})
    assert (report.drift.growth, report.drift.labels) == (1.0, 0.5)
    assert report.figures()["drift/brightness"] == report.drift.brightness > 3
    assert first.labels == {"a": 20, "b": 20}
    assert report.labels == {"a": 60, "b": 20}


# What the config expects


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"min_images": 41}, "there are 40 images, and the config expects 41"),
        ({"labels": ["a", "b", "c"]}, "the label 'c' has 0 images, and the config expects 1"),
        ({"labels": ["a"]}, "its label 'b' is none of those that the config expects"),
        ({"min_per_label": 21}, "the label 'a' has 20 images, and the config expects 21"),
    ],
)
def test_what_the_config_expects_has_to_hold(folder, expect, said):
    with pytest.raises(DatasetRefusedError, match=said):
        build(folder, expect=expect)
    assert not (folder / "data").exists()


def test_a_dataset_that_is_as_expected_is_built(folder):
    assert build(folder, expect={"min_images": 40, "labels": ["a", "b"], "min_per_label": 20}).num_new == 40


# A full disk


def test_a_disk_that_fills_up_leaves_the_dataset_as_it_was(folder, monkeypatch):
    build(folder)
    before = {path.name: path.read_bytes() for path in (folder / "data").iterdir()}
    put(folder / "images/a/new.png", 99)
    write = pq.ParquetWriter

    def onto_a_full_disk(where, schema, **options):  # /dev/full is a real device that has no space
        where.symlink_to("/dev/full")
        return write(where, schema, **options)

    monkeypatch.setattr(pq, "ParquetWriter", onto_a_full_disk)
    with pytest.raises(DatasetRefusedError, match="is full; the dataset is as it was: free some space and run again"):
        build(folder)
    assert {path.name: path.read_bytes() for path in (folder / "data").iterdir()} == before
    assert [path.name for path in folder.iterdir() if path.name.endswith("partial")] == []


def test_a_disk_that_fills_up_with_what_is_known_of_images_leaves_the_dataset_as_it_was(folder, monkeypatch):
    build(folder)
    before = {path.name: path.read_bytes() for path in (folder / "data").iterdir()}
    for seed in range(50, 250):
        put(folder / f"images/a/{seed}.png", seed)
    connect = sqlite3.connect

    def on_a_small_disk(file, **options):
        database = connect(file, **options)
        database.execute("PRAGMA max_page_count = 7")  # SQLite's own limit, which it takes for a full disk
        return database

    monkeypatch.setattr(sqlite3, "connect", on_a_small_disk)
    with pytest.raises(DatasetRefusedError, match="is full; the dataset is as it was: free some space and run again"):
        build(folder)
    assert {path.name: path.read_bytes() for path in (folder / "data").iterdir()} == before


def test_a_file_that_was_taken_is_read_again_only_when_it_changed(folder, monkeypatch):
    from flows.sources import folder as opening

    build(folder, file_cache=folder / "file-cache.sqlite")
    read = []

    def noted(path):
        read.append(path.name)
        return path.read_bytes()

    monkeypatch.setattr(opening, "read_file", noted)
    again = build(folder, file_cache=folder / "file-cache.sqlite")
    assert (again.num_remembered, again.num_known, read) == (40, 40, [])
    put(folder / "images/a/0.png", 77)
    changed = build(folder, file_cache=folder / "file-cache.sqlite")
    assert (changed.num_new, read) == (1, ["0.png"])
    other_tiles = build(folder, file_cache=folder / "file-cache.sqlite", min_side=9)
    assert other_tiles.num_remembered == 0, "what is asked of files is another thing"


def test_drawings_whose_hashes_are_near_are_no_near_duplicates(tmp_path):
    report = build(tmp_path, "builtin:digits")
    rows = read_rows(tmp_path / "data", ["split", "phash"])
    train, evaluation = (
        np.array([int(row["phash"], 16) for row in rows if row["split"] == split and row["phash"]], np.uint64)
        for split in ("train", "evaluation")
    )
    assert len(list(near_duplicates(train, evaluation))) > 20
    assert (report.near_duplicates, report.compared_all) == ((), True)
    assert "almost the same" not in report.in_words()


def test_copies_of_drawings_are_near_duplicates(tmp_path):
    (tmp_path / "images").mkdir()
    for number, item in enumerate([*open_source("builtin:digits", tmp_path).items()][:60]):
        drawing = decode(item.read()).resize((32, 32), Image.Resampling.BICUBIC)
        drawing.save(tmp_path / f"images/{number}.png")
        drawing.save(tmp_path / f"images/{number}.jpg", quality=80)
    report = build(tmp_path)
    split = {row["source"]: row["split"] for row in read_rows(tmp_path / "data", ["source", "split"])}
    apart = {n for n in range(60) if split[f"images/{n}.png"] != split[f"images/{n}.jpg"]}
    told = [{Path(name).stem for name in (pair.train, pair.evaluation)} for pair in report.near_duplicates]
    assert apart
    assert {int(stem) for (stem,) in told} == apart
    assert all(pair.correlation >= MIN_CORRELATION for pair in report.near_duplicates)


def test_of_too_many_candidates_the_nearest_are_compared_and_that_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.datasets.near_duplicates.MAX_COMPARED", 2)
    image = HashedImage("images/1.png", "0" * 16)
    kept, are_all = nearest(Candidate(distance, image, image) for distance in (4, 0, 3, 2))
    assert ([candidate.distance for candidate in kept], are_all) == ([0, 2], False)
    assert confirm(kept, tmp_path, are_all=are_all) == NearDuplicates((), is_complete=False)


def test_what_is_compared_is_bounded_in_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.datasets.near_duplicates.MAX_PIXELS", 1)
    (tmp_path / "images").mkdir()
    photo = Image.fromarray(load_sample_images().images[0])
    for number in range(8):
        photo.crop((number, 0, 160 + number, 160)).save(tmp_path / f"images/{number}.png")
    report = build(tmp_path)
    assert (report.near_duplicates, report.compared_all) == ((), False)


def test_the_list_of_quarantined_files_holds_no_formula(tmp_path):
    name = "=cmd|' -C calc'!A0.png"
    put(tmp_path / "images/1.png", 1)
    put(tmp_path / "images/2.png", 2)
    (tmp_path / f"images/{name}").write_bytes(b"no image")
    with pytest.raises(DatasetRefusedError, match="1 of 3 files cannot be used"):
        build(tmp_path)
    with (tmp_path / "quarantine/quarantine.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["path"] == f"'{name}"
    assert from_csv(row["path"]) == name


def test_what_a_person_should_know_of_a_source_is_told(folder):
    (folder / "images/a").rename(folder / "elsewhere")
    (folder / "images/a").symlink_to("../elsewhere")
    report = build(folder)
    assert report.num_new == 40
    assert report.in_words().endswith("20 files of 'images' are behind links to folders: a")
