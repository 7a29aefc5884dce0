"""What a config may name as a source, and what it says when it names nothing."""

import pytest
from PIL import Image

from flows.config.dataset_section import SourceConfig
from flows.sources.base import SourceError
from flows.sources.open import open_source


def put(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (8, 8), value).save(path, "PNG")


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


@pytest.mark.parametrize(
    "said", [{"label_column": "kind"}, {"image_column": "file"}, {"hosts": ["images.internal"]}, {"max_hours": 2}]
)
def test_what_is_said_of_a_table_is_refused_of_a_folder(tmp_path, said):
    put(tmp_path / "images/1.png")
    (key,) = said
    with pytest.raises(SourceError, match=f"'images' is no table .*and '{key}' is said of tables; leave it out"):
        open_source(SourceConfig(path="images", **said), tmp_path)
