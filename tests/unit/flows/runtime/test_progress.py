"""What reaches the terminal of what files are called."""

import pytest

from flows.runtime.progress import echo


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("the label \x1b[31mred\x1b[0m", "the label \\x1b[31mred\\x1b[0m"),
        ("the label [bold]x[/bold] and [/]", "the label [bold]x[/bold] and [/]"),
    ],
)
def test_what_is_echoed_is_text_and_neither_markup_nor_control(capsys, line, shown):
    echo(line)
    assert capsys.readouterr().out == f"{shown}\n"
