"""Images in a folder: what is a label, what is ignored, and where links lead."""

import os
from pathlib import Path

import pytest
from PIL import Image

from flows.sources.open import open_source
from gan_models.ingest.decoding import UnreadableImageError, decode
from tests.support.checked import present


def put(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path, "PNG")


def test_sub_folders_are_labels_and_deeper_ones_only_order(tmp_path):
    put(tmp_path / "images/cat/1.png")
    put(tmp_path / "images/dog/summer/2.png")
    items = list(open_source("images", tmp_path).items())
    assert [(item.path, item.label) for item in items] == [("cat/1.png", "cat"), ("dog/summer/2.png", "dog")]
    assert items[0].source == "images"
    assert decode(items[0].read()).size == (8, 8)


def test_files_in_the_folder_itself_have_no_label(tmp_path):
    put(tmp_path / "1.png")
    assert [item.label for item in open_source(str(tmp_path), Path("/nowhere")).items()] == [None]


def test_hidden_files_are_ignored_and_all_others_tried(tmp_path):
    put(tmp_path / "images/.thumbnails/1.png")
    put(tmp_path / "images/cat/1.png")
    (tmp_path / "images/cat/.DS_Store").write_bytes(b"x")
    (tmp_path / "images/cat/notes.txt").write_text("hello")
    assert [item.path for item in open_source("images", tmp_path).items()] == ["cat/1.png", "cat/notes.txt"]


def test_the_fingerprint_of_a_folder_follows_names_and_content(tmp_path):
    def fingerprint():
        return open_source("images", tmp_path).fingerprint()

    put(tmp_path / "images/cat/1.png", 1)
    first = fingerprint()
    os.utime(tmp_path / "images/cat/1.png", (0, 0))
    assert fingerprint() == first
    put(tmp_path / "images/cat/1.png", 2)
    changed = fingerprint()
    (tmp_path / "images/cat").rename(tmp_path / "images/dog")
    renamed = fingerprint()
    put(tmp_path / "images/dog/2.png", 3)
    assert len({first, changed, renamed, fingerprint()}) == 4


def test_pipes_and_links_to_nothing_are_said_to_be_unreadable(tmp_path):
    put(tmp_path / "images/1.png")
    os.mkfifo(tmp_path / "images/2-pipe.png")
    (tmp_path / "images/3-broken.png").symlink_to("nothing")
    source = open_source("images", tmp_path)
    assert source.fingerprint() == open_source("images", tmp_path).fingerprint()
    _, *bad = source.items()
    assert len(bad) == 2
    for item, reason in zip(bad, ["not a regular one", "a link to nothing, and nothing is there"], strict=True):
        with pytest.raises(UnreadableImageError, match=reason):
            item.read()


def test_a_label_folder_that_is_a_link_is_followed_and_told(tmp_path):
    put(tmp_path / "images/cats/1.png")
    put(tmp_path / "elsewhere/2.png")
    put(tmp_path / "elsewhere/summer/3.png")
    (tmp_path / "images/dogs").symlink_to("../elsewhere")
    source = open_source("images", tmp_path)
    found = [(item.path, item.label) for item in source.items()]
    assert found == [("cats/1.png", "cats"), ("dogs/2.png", "dogs"), ("dogs/summer/3.png", "dogs")]
    assert source.num_items == 3
    assert all(decode(item.read()) for item in source.items())
    assert source.notes() == ("2 files of 'images' are behind links to folders: dogs",)


def test_what_a_link_leads_to_is_in_the_fingerprint(tmp_path):
    put(tmp_path / "images/cats/1.png")
    put(tmp_path / "elsewhere/2.png")
    (tmp_path / "images/dogs").symlink_to("../elsewhere")
    before = open_source("images", tmp_path).fingerprint()
    put(tmp_path / "elsewhere/2.png", 5)
    assert open_source("images", tmp_path).fingerprint() != before


def test_links_that_lead_in_a_circle_end(tmp_path):
    put(tmp_path / "images/cats/1.png")
    put(tmp_path / "elsewhere/2.png")
    (tmp_path / "images/again").symlink_to("cats")  # sorted before the folder that it leads to
    (tmp_path / "images/cats/self").symlink_to(".")
    (tmp_path / "images/top").symlink_to("..")
    (tmp_path / "images/dogs").symlink_to("../elsewhere")
    (tmp_path / "images/pups").symlink_to("../elsewhere")
    (tmp_path / "elsewhere/back").symlink_to("../images")
    (tmp_path / "images/round").symlink_to("round")
    source = open_source("images", tmp_path)
    assert [item.path for item in source.items()] == ["cats/1.png", "dogs/2.png", "round"]
    assert any("not followed: again, cats/self, dogs/back, pups, top" in note for note in source.notes())


def test_folders_that_link_to_each_other_many_times_are_read_once(tmp_path):
    for number in range(30):
        put(tmp_path / f"images/{number:02}/{number}.png", number)
        for name in "ab":
            (tmp_path / f"images/{number:02}/{name}").symlink_to(f"../{(number + 1) % 30:02}")
    assert open_source("images", tmp_path).num_items == 30


@pytest.mark.parametrize("litter", ["Thumbs.db", "desktop.ini", "@eaDir/1.png", "__MACOSX/._1.png", "lost+found/x"])
def test_litter_of_other_systems_is_ignored_wherever_it_lies(tmp_path, litter):
    put(tmp_path / "images/cats/1.png")
    put(tmp_path / "images" / litter)
    put(tmp_path / "images/cats" / litter)
    assert [item.path for item in open_source("images", tmp_path).items()] == ["cats/1.png"]


@pytest.mark.parametrize("names", [("train", "val"), ("Training", "Validation", "Test"), ("train",)])
def test_folders_that_divide_a_dataset_are_no_labels_and_that_is_told(tmp_path, names):
    for name in names:
        put(tmp_path / f"images/{name}/cat/1.png")
        put(tmp_path / f"images/{name}/dog/summer/2.png")
    source = open_source("images", tmp_path)
    assert sorted({present(item.label) for item in source.items()}) == ["cat", "dog"]
    assert len(source.notes()) == 1
    assert "for its division and not for labels" in source.notes()[0]


def test_images_that_lie_in_a_division_alone_have_no_label(tmp_path):
    put(tmp_path / "images/train/1.png")
    put(tmp_path / "images/test/2.png")
    assert [item.label for item in open_source("images", tmp_path).items()] == [None, None]


def test_a_class_may_be_called_as_a_division_where_it_stands_beside_others(tmp_path):
    for name in ("train", "bus", "car"):
        put(tmp_path / f"images/{name}/1.png")
    source = open_source("images", tmp_path)
    assert [item.label for item in source.items()] == ["bus", "car", "train"]
    assert source.notes() == ()
    put(tmp_path / "images/test/1.png")
    assert "name each of them as a source of its own" in open_source("images", tmp_path).notes()[0]


def test_spaces_around_the_name_of_a_folder_make_no_other_label(tmp_path):
    for name in ("cat/1.png", "cat /2.png", " /3.png"):
        put(tmp_path / "images" / name)
    source = open_source("images", tmp_path)
    labels = {item.path: item.label for item in source.items()}
    assert labels == {"cat/1.png": "cat", "cat /2.png": "cat", " /3.png": None}
    assert "without the spaces around their names, such as 'cat '" in source.notes()[0]


def test_a_file_too_large_to_be_an_image_is_not_read(tmp_path):
    (tmp_path / "images").mkdir()
    with (tmp_path / "images/huge.png").open("wb") as file:
        file.truncate(10 << 30)
    (item,) = open_source("images", tmp_path).items()
    with pytest.raises(UnreadableImageError, match="more than the limit"):
        item.read()


def test_file_names_that_are_no_unicode_can_be_stored(tmp_path):
    put(tmp_path / "images/1.png")
    (tmp_path / "images/1.png").rename(tmp_path / "images" / os.fsdecode(b"\xff.png"))
    source = open_source("images", tmp_path)
    (item,) = source.items()
    assert item.path.encode() == "\N{REPLACEMENT CHARACTER}.png".encode()
    assert item.read()
