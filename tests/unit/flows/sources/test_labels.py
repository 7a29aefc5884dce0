"""What the folders in a path say of its file."""

import pytest

from flows.sources.labels import first_folder, label_text, labels_by_folder
from tests.support.checked import present


@pytest.mark.parametrize("name", ["/cat/1.png", "cat//1.png", "//cat///summer/1.png", " /cat/1.png", "cat /1.png"])
def test_a_part_of_a_path_without_a_name_is_no_label(name):
    folder = present(first_folder(name))
    assert label_text(folder) == "cat"
    assert labels_by_folder({folder}, "s3://bucket/in").of(name) == "cat"


@pytest.mark.parametrize("name", ["1.png", "/1.png", "// /1.png"])
def test_a_file_in_no_folder_that_has_a_name_has_no_label(name):
    assert first_folder(name) is None
    assert labels_by_folder({"cat"}, "s3://bucket/in").of(name) is None


def test_divisions_are_known_by_every_name_they_go_by():
    rule = labels_by_folder({"Train", "valid", "TEST "}, "in")
    assert rule.of("valid/cat/1.png") == "cat"
    assert "the folders TEST , Train and valid of 'in'" in rule.notes[0]
