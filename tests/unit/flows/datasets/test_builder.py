import csv
import shutil

import numpy as np
import pytest
from PIL import Image

from flows.config.dataset_section import SourceConfig
from flows.datasets.builder import DatasetRefusedError, build_dataset
from flows.sources.open import open_source
from gan_models.data.shards import read_rows, split_of
from gan_models.ingest.decoding import decode, image_id


def put(path, seed, size=(16, 16)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path, "PNG")


def build(root, directory="data", **options):
    settings = {"evaluation_share": 0.4, "max_quarantined_share": 0.0, "quarantine": root / "quarantine"}
    return build_dataset([open_source("images", root)], root / directory, **(settings | options))


def files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def folder(tmp_path):
    """Twelve images of two labels in `images`, under the path that is returned."""
    for seed in range(12):
        put(tmp_path / f"images/{'ab'[seed % 2]}/{seed}.png", seed)
    return tmp_path


def test_a_folder_becomes_a_dataset(folder):
    steps = []
    report = build(folder, on_progress=lambda done, total: steps.append((done, total)))
    assert (report.num_items, report.num_new, report.num_known, report.num_duplicates) == (12, 12, 0, 0)
    assert report.quarantined == ()
    assert sum(report.splits.values()) == 12
    assert steps == [(i, 12) for i in range(1, 13)]
    rows = read_rows(folder / "data", ["image", "id", "split", "label", "domain", "width", "height", "source"])
    for row in rows:
        assert image_id(decode(row["image"]["bytes"])) == row["id"]
        assert row["split"] == split_of(row["id"], 0.4)
        assert (row["width"], row["height"], row["domain"]) == (16, 16, None)
        assert row["source"].startswith(f"images/{row['label']}/")


def test_the_same_sources_make_the_same_files(folder):
    assert build(folder, "one").content_digest == build(folder, "two").content_digest
    assert files(folder / "one") == files(folder / "two")


def test_building_again_adds_only_what_is_new_and_keeps_what_vanished(folder):
    first = build(folder)
    before = files(folder / "data")
    again = build(folder)
    assert (again.num_new, again.num_known, again.content_digest) == (0, 12, first.content_digest)
    assert files(folder / "data") == before
    put(folder / "images/a/new.png", 99)
    (folder / "images/a/0.png").unlink()
    grown = build(folder)
    assert (grown.num_new, grown.num_known, sum(grown.splits.values())) == (1, 11, 13)
    assert before.items() < files(folder / "data").items()


def test_bad_files_are_quarantined_with_their_reason(folder):
    good = (folder / "images/a/0.png").read_bytes()
    (folder / "images/a/cut.png").write_bytes(good[: len(good) // 2])
    (folder / "images/a/empty.png").write_bytes(b"")
    (folder / "images/b/=notes\n.txt").write_text("hello")
    report = build(folder, max_quarantined_share=0.2)
    assert report.num_new == 12
    with (folder / "quarantine/quarantine.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"a/cut.png", "a/empty.png", "b/=notes\n.txt"}
    assert "damaged or truncated" in rows["a/cut.png"]["reason"]
    assert rows["a/empty.png"]["reason"] == "the file is empty"
    assert "not an image" in rows["b/=notes\n.txt"]["reason"]
    assert (folder / "quarantine" / rows["a/cut.png"]["copy"]).read_bytes() == good[: len(good) // 2]


def test_the_quarantine_list_is_of_the_last_build(folder):
    (folder / "images/a/empty.png").write_bytes(b"")
    build(folder, max_quarantined_share=0.2)
    (folder / "images/a/empty.png").unlink()
    build(folder)
    assert (folder / "quarantine/quarantine.csv").read_text().splitlines() == ["path,source,reason,copy"]


def test_too_many_bad_files_refuse_the_dataset_and_write_nothing(folder):
    build(folder)
    before = files(folder / "data")
    put(folder / "images/a/new.png", 99)
    for number in range(3):
        (folder / f"images/a/empty-{number}.png").write_bytes(b"")
    (folder / "images/a/notes.txt").write_text("hello")
    with pytest.raises(DatasetRefusedError, match=r"4 of 17 .* than the 20% .* most often because the file is empty"):
        build(folder, max_quarantined_share=0.2)
    assert files(folder / "data") == before
    assert len((folder / "quarantine/quarantine.csv").read_text().splitlines()) == 5


def test_exact_duplicates_are_dropped(folder):
    Image.open(folder / "images/a/0.png").save(folder / "images/a/copy.bmp")
    report = build(folder)
    assert (report.num_new, report.num_duplicates, report.quarantined) == (12, 1, ())


def test_a_duplicate_with_another_label_is_quarantined(folder):
    shutil.copy(folder / "images/a/0.png", folder / "images/b/copy.png")
    report = build(folder, max_quarantined_share=0.1)
    assert [entry.path for entry in report.quarantined] == ["b/copy.png"]
    assert report.quarantined[0].reason == "its pixels are those of images/a/0.png, labeled 'a', not 'b'"


def test_a_known_image_that_comes_back_with_another_label_is_quarantined(folder):
    build(folder)
    (folder / "images/a/0.png").rename(folder / "images/b/0.png")
    report = build(folder, max_quarantined_share=0.1)
    assert report.quarantined[0].reason == "its pixels are in the dataset already, labeled 'a', not 'b'"


def test_tiles_of_one_photograph_share_its_split(tmp_path):
    for seed in range(8):
        put(tmp_path / f"images/{seed}.png", seed, size=(70, 40))
    report = build(tmp_path, tile=16)
    rows = read_rows(tmp_path / "data", ["split", "source", "width", "height"])
    assert report.num_new == len(rows) == 8 * 8
    assert {(row["width"], row["height"]) for row in rows} == {(16, 16)}
    assert len({(row["source"], row["split"]) for row in rows}) == 8
    assert {row["split"] for row in rows} == {"train", "evaluation"}


def test_tiles_added_later_follow_those_of_their_photograph(tmp_path):
    for seed in range(8):
        put(tmp_path / f"images/{seed}.png", seed, size=(70, 40))
    build(tmp_path, tile=16, max_tiles_per_image=2)
    build(tmp_path, tile=16, max_tiles_per_image=8, evaluation_share=0.9)
    rows = read_rows(tmp_path / "data", ["split", "source"])
    assert len({(row["source"], row["split"]) for row in rows}) == 8
    assert len(rows) > 16


def test_tiles_are_a_centered_grid_of_which_an_even_choice_is_taken(tmp_path):
    for seed in range(8):
        put(tmp_path / f"images/{seed}.png", seed, size=(70, 40))
    build(tmp_path, tile=16, max_tiles_per_image=4)
    rows = read_rows(tmp_path / "data", ["image"])
    cut = sorted(row["image"]["path"] for row in rows if row["image"]["path"].startswith("0"))
    assert cut == ["0.png-19-20.png", "0.png-19-4.png", "0.png-51-20.png", "0.png-51-4.png"]


def test_photographs_smaller_than_a_tile_are_quarantined(tmp_path):
    for seed in range(8):
        put(tmp_path / f"images/{seed}.png", seed, size=(70, 40))
    put(tmp_path / "images/small.png", 99, size=(70, 15))
    report = build(tmp_path, tile=16, max_quarantined_share=0.5)
    assert [entry.reason for entry in report.quarantined] == [
        "the image is 70x15, and its shorter side is less than 16 pixels"
    ]


def test_an_empty_split_refuses_the_dataset(tmp_path):
    put(tmp_path / "images/0.png", 0)
    with pytest.raises(DatasetRefusedError, match="split is empty: 1 images are too few"):
        build(tmp_path)
    assert not (tmp_path / "data").exists()


def test_labels_on_some_images_only_refuse_the_dataset(folder):
    put(folder / "images/loose.png", 99)
    with pytest.raises(DatasetRefusedError, match="1 of 13 images have no label"):
        build(folder)


def test_a_share_that_is_none_is_refused(folder):
    with pytest.raises(DatasetRefusedError, match=r"evaluation_share is 1\.5"):
        build(folder, evaluation_share=1.5)


def test_the_builtin_photographs_make_a_varied_evaluation_split(tmp_path):
    source = open_source("builtin:photos", tmp_path)
    report = build_dataset([source], tmp_path / "data", evaluation_share=0.25, tile=128, quarantine=tmp_path / "q")
    assert report.splits == {"evaluation": 68, "train": 224}
    rows = read_rows(tmp_path / "data", ["split", "source"])
    photographs = {row["source"].removeprefix("builtin:photos/") for row in rows if row["split"] == "evaluation"}
    assert photographs == {"camera.png", "chelsea.png", "china.jpg", "ihc.png", "motorcycle_left.png"}


def build_described(root, sources, **options):
    opened = [open_source(SourceConfig.model_validate(source), root) for source in sources]
    settings = {"evaluation_share": 0.4, "max_quarantined_share": 0.0, "quarantine": root / "quarantine"}
    return build_dataset(opened, root / "data", **(settings | options))


def test_each_source_says_its_domain_and_what_names_its_labels(tmp_path):
    for seed in range(8):
        put(tmp_path / f"photos/{seed}.png", seed)
        put(tmp_path / f"paintings/{seed}.png", 100 + seed)
    sources = [{"path": "photos", "domain": "photo"}, {"path": "paintings", "domain": "painting", "labels": "file"}]
    build_described(tmp_path, sources)
    rows = read_rows(tmp_path / "data", ["domain", "label", "source"])
    assert {(row["domain"], row["label"]) for row in rows if row["source"].startswith("photos")} == {("photo", None)}
    paintings = {(row["domain"], row["label"]) for row in rows if row["source"].startswith("paintings")}
    assert paintings == {("painting", str(seed)) for seed in range(8)}


def test_few_images_can_be_split_by_tile(tmp_path):
    put(tmp_path / "images/one.png", 0, size=(160, 160))
    report = build_described(tmp_path, [{"path": "images", "split_by": "tile"}], tile=16)
    rows = read_rows(tmp_path / "data", ["id", "split"])
    assert sum(report.splits.values()) == 40
    assert {row["split"] for row in rows} == {"train", "evaluation"}
    assert all(row["split"] == split_of(row["id"], 0.4) for row in rows)
    build_described(tmp_path, [{"path": "images", "split_by": "tile"}], tile=16, max_tiles_per_image=60)
    rows = read_rows(tmp_path / "data", ["id", "split"])
    assert all(row["split"] == split_of(row["id"], 0.4) for row in rows)


def test_each_domain_needs_both_splits(tmp_path):
    for seed in range(8):
        put(tmp_path / f"photos/{seed}.png", seed, size=(64, 64))
    put(tmp_path / "paintings/one.png", 99, size=(64, 64))
    sources = [{"path": "photos", "domain": "photo"}, {"path": "paintings", "domain": "painting"}]
    with pytest.raises(DatasetRefusedError, match=r"split of the domain 'painting' is empty: .*`split_by: tile`"):
        build_described(tmp_path, sources, tile=16)


def test_labels_on_some_images_of_a_domain_refuse_the_dataset(folder):
    put(folder / "paintings/loose.png", 98)
    put(folder / "paintings/a/in.png", 99)
    sources = [{"path": "images", "domain": "photo"}, {"path": "paintings", "domain": "painting"}]
    with pytest.raises(DatasetRefusedError, match="1 of 2 images of the domain 'painting' have no label"):
        build_described(folder, sources)


def test_the_same_pixels_in_two_domains_are_a_contradiction(folder):
    for seed in range(5, 12):
        put(folder / f"paintings/{'ab'[seed % 2]}/{seed}.png", seed if seed == 5 else 100 + seed)
    sources = [{"path": "images", "domain": "photo"}, {"path": "paintings", "domain": "painting"}]
    report = build_described(folder, sources, max_quarantined_share=0.1)
    (entry,) = report.quarantined
    assert entry.reason == "its pixels are those of images/b/5.png, of the domain 'photo', not 'painting'"


def test_a_tile_with_the_pixels_of_one_in_another_domain_is_left_out(tmp_path):
    for seed in range(8):
        put(tmp_path / f"photos/{seed}.png", seed, size=(64, 64))
        put(tmp_path / f"paintings/{seed}.png", 100 + seed, size=(64, 64))
    for number, folder in enumerate(("photos", "paintings")):
        flat = Image.new("RGB", (64, 48 + 16 * number), "white")  # sky: the tiles are the same, the pictures are not
        flat.save(tmp_path / folder / "sky.png")
    sources = [{"path": "photos", "domain": "photo"}, {"path": "paintings", "domain": "painting"}]
    report = build_described(tmp_path, sources, tile=16)
    assert report.quarantined == ()
    rows = read_rows(tmp_path / "data", ["domain", "source"])
    assert [row["domain"] for row in rows if row["source"].endswith("sky.png")] == ["photo"]
