"""Labels and paths that would do something where they are shown."""

import pytest

from gan_models.escaping import for_csv, for_markdown, for_terminal, from_csv


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mcat\x1b[0m", "\\x1b[31mcat\\x1b[0m"),
        ("cat\x9b2J\x07\r", "cat\\x9b2J\\x07\\r"),
        ("cat\u202egnp.exe", "cat\\u202egnp.exe"),
        ("cat\u2028dog", "cat\\u2028dog"),
        ("cat\udcff", "cat\\udcff"),
    ],
)
def test_nothing_that_controls_a_terminal_gets_there(text, shown):
    assert for_terminal(text) == shown


@pytest.mark.parametrize("text", ["", "cat", "caf\u00e9 [red] {x}", "two\nlines\tof", "\u732b", "\u0627\u200c\u0628"])
def test_what_people_write_is_shown_as_it_is(text):
    assert for_terminal(text) == text


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0.png", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''", "'"])
def test_no_cell_of_a_table_is_a_formula_and_each_is_read_back(text):
    assert for_csv(text) == f"'{text}"
    assert from_csv(for_csv(text)) == text


@pytest.mark.parametrize("text", ["", "cat/1.png", "a=b", "it's", "'tis"])
def test_other_cells_are_as_they_are(text):
    assert from_csv(text) == text
    assert from_csv(for_csv(text)) == text


def test_markdown_takes_a_label_for_itself():
    shown = for_markdown("a|b\n[x](javascript:y) <img src=z> `code` \\ *b*\x1b")
    assert shown == "a\\|b \\[x\\](javascript:y) \\<img src=z> \\`code\\` \\\\ \\*b\\*\\\\x1b"
    assert for_markdown("fd_efficientnet_lite0") == "fd_efficientnet_lite0"
