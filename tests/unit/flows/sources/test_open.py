import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from flows.config.model_config import SourceConfig
from flows.sources.open import SourceError, open_source
from gan_models.ingest.decoding import UnreadableImageError, decode


def put(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path, "PNG")


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    source = open_source("builtin:digits", Path())
    items = list(source.items())
    expected = load_digits()
    assert len(items) == source.num_items == 1797
    assert [int(item.label) for item in items] == expected.target.tolist()
    for item, levels in list(zip(items, expected.images, strict=True))[::100]:
        assert np.asarray(decode(item.read())).tolist() == np.rint(levels * 255 / 16).tolist()


def test_the_photographs_can_all_be_read():
    source = open_source("builtin:photos", Path())
    items = list(source.items())
    assert len(items) == source.num_items == 17
    assert [item.path for item in items] == sorted(item.path for item in items)
    assert {"astronaut.png", "china.jpg", "grace_hopper.jpg"} <= {item.path for item in items}
    assert all(item.read() and item.label is None and item.source == "builtin:photos" for item in items)


def test_fingerprints_of_builtin_sources_import_no_large_package():
    code = (
        "import sys; from pathlib import Path; from flows.sources.open import open_source\n"
        "for name in ('digits', 'photos'): open_source(f'builtin:{name}', Path()).fingerprint()\n"
        "sys.exit(str({'torch', 'pandas', 'sklearn', 'skimage', 'matplotlib'} & set(sys.modules)).replace('set()', ''))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.stderr.strip() == ""


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


def test_pipes_and_links_to_nothing_or_to_folders_are_said_to_be_unreadable(tmp_path):
    put(tmp_path / "images/1.png")
    os.mkfifo(tmp_path / "images/2-pipe.png")
    (tmp_path / "images/3-broken.png").symlink_to("nothing")
    (tmp_path / "images/4-folder").symlink_to(tmp_path, target_is_directory=True)
    source = open_source("images", tmp_path)
    assert source.fingerprint() == open_source("images", tmp_path).fingerprint()
    _, *bad = source.items()
    assert len(bad) == 3
    for item, reason in zip(bad, ["not a regular one", "No such file", "link to a folder"], strict=True):
        with pytest.raises(UnreadableImageError, match=reason):
            item.read()


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


@pytest.mark.parametrize("spec", ["builtin:digit", "builtin:Digits", "digits", "buildin:digits"])
def test_the_nearest_builtin_source_is_offered(tmp_path, spec):
    with pytest.raises(SourceError, match="did you mean 'builtin:digits'"):
        open_source(spec, tmp_path)


def test_a_source_that_is_nothing_known_says_what_can_be(tmp_path):
    with pytest.raises(SourceError, match="no folder 'faces'; it can be a folder or one of builtin:digits"):
        open_source("faces", tmp_path)


def test_an_empty_folder_and_a_file_are_refused(tmp_path):
    (tmp_path / "empty/sub").mkdir(parents=True)
    with pytest.raises(SourceError, match="'empty' holds no files"):
        open_source("empty", tmp_path)
    (tmp_path / "one.png").write_bytes(b"")
    with pytest.raises(SourceError, match=r"'one.png' is a file; name the folder"):
        open_source("one.png", tmp_path)


def test_what_a_config_says_of_a_source_is_in_its_items_and_its_fingerprint(tmp_path):
    put(tmp_path / "images/cat/1.png")
    plain = open_source("images", tmp_path)
    by_file = open_source(SourceConfig(path="images", labels="file"), tmp_path)
    described = open_source(SourceConfig(path="images", domain="painting", split_by="tile"), tmp_path)
    (item,) = by_file.items()
    assert (item.path, item.label, item.domain, item.split_by) == ("cat/1.png", "1", None, "image")
    (item,) = described.items()
    assert (item.path, item.label, item.domain, item.split_by) == ("cat/1.png", "cat", "painting", "tile")
    assert (item.source, described.spec, described.num_items) == ("images", "images", 1)
    assert len({source.fingerprint() for source in (plain, by_file, described)}) == 3
    assert open_source(SourceConfig(path="images"), tmp_path).fingerprint() == plain.fingerprint()
