"""A file that another process appends to is read once, line by line, whatever happens to it meanwhile."""

from dataclasses import replace
from pathlib import Path

import pytest

from flows.runtime import followed_file
from flows.runtime.followed_file import FollowedFile


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lines"


def append(file: Path, text: str) -> None:
    with file.open("a") as stream:
        stream.write(text)


def test_each_line_is_given_once(file: Path):
    followed = FollowedFile(file)
    assert followed.new_lines() == [], "there is no file yet"
    append(file, "a\nb\n")
    assert followed.new_lines() == ["a", "b"]
    assert followed.new_lines() == []
    append(file, "c\n")
    assert followed.new_lines() == ["c"]


def test_a_line_that_is_still_being_written_waits(file: Path):
    followed = FollowedFile(file)
    append(file, "a\nb")
    assert followed.new_lines() == ["a"]
    append(file, "c\n")
    assert followed.new_lines() == ["bc"]


def test_what_was_read_is_not_read_again_after_a_restart(file: Path):
    append(file, "a\nb\n")
    before = FollowedFile(file)
    before.new_lines()
    append(file, "c\n")
    assert FollowedFile(file, before.offset, before.tail).new_lines() == ["c"]


@pytest.mark.parametrize("text", ["x\n", "", "other\nlines\n", "A\nb\nc\nd\n"])
def test_a_file_that_was_cut_or_replaced_is_read_from_its_beginning(file: Path, text: str):
    append(file, "a\nb\nc\n")
    followed = FollowedFile(file)
    followed.new_lines()
    file.write_text(text)
    assert followed.new_lines() == text.splitlines()


def test_a_file_replaced_by_a_longer_one_with_the_same_beginning_goes_on(file: Path):
    append(file, "a\nb\n")
    followed = FollowedFile(file)
    followed.new_lines()
    file.unlink()
    append(file, "a\nb\nc\n")
    assert followed.new_lines() == ["c"]


def test_a_long_file_is_read_in_chunks_without_losing_a_line(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(followed_file, "CHUNK_BYTES", 16)
    lines = [f"line {number}" for number in range(20)] + ["one that is longer than a chunk by far", "", "last ä"]
    append(file, "\n".join(lines) + "\n")
    followed = FollowedFile(file)
    first = followed.new_lines()
    assert 0 < len(first) < len(lines)
    assert first + list(replace(followed).all_new_lines()) == lines
