"""Text that came with files and tables, made safe for where it is shown: labels and paths may say anything."""

import re
import unicodedata

_JOINERS = "\u200c\u200d"  # Invisible, and part of how some scripts and emoji are written.
_FORMULA = re.compile(r"[=+\-@\t\r\n]")
_MARKDOWN = re.compile(r"([\\`|*\[\]<])")


def for_terminal(text: str) -> str:
    """Return text with control characters written out, so that none of it moves a cursor or turns a line around.

    Line ends and tabs stay. What rich would take for markup is not its matter: print with `markup=False`, or as a Text.
    """
    if text.isprintable():
        return text
    return "".join(sign if _is_shown(sign) else sign.encode("unicode_escape").decode() for sign in text)


def for_csv(text: str) -> str:
    """Return text for the cell of a CSV file, which a spreadsheet does not take for a formula: `'` stands before it."""
    return f"'{text}" if _FORMULA.match(text) or text.startswith("'") else text


def from_csv(cell: str) -> str:
    """Return the text of which `for_csv` made a cell."""
    return cell[1:] if cell.startswith("'") and (_FORMULA.match(cell[1:]) or cell[1:].startswith("'")) else cell


def for_markdown(text: str) -> str:
    """Return text on one line whose characters Markdown and HTML take for themselves alone, in a table's cell too."""
    return _MARKDOWN.sub(r"\\\1", " ".join(for_terminal(text).split()))


def _is_shown(sign: str) -> bool:
    return sign in "\n\t" or sign in _JOINERS or unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
