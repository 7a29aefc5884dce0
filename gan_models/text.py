"""Words for a person: one line of an error, and the known name that is nearest to an unknown one."""

import difflib
from collections.abc import Iterable


def one_line(text: object, limit: int | None = None) -> str:
    """Return a text, or the message of an error, on one line; an error without a message gives its kind.

    Args:
        text: what is to be told.
        limit: characters at most.
    """
    line = " ".join(str(text).split()) or (type(text).__name__ if isinstance(text, BaseException) else "")
    return line[:limit]


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was probably meant to be, whatever its case; None where nothing is near."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[near[0]] if near else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean 'x'?" where a known name is near, or else all that there are."""
    known = list(known)
    near = nearest(name, known)
    return f"did you mean '{near}'?" if near else f"there are: {', '.join(known) or 'none'}"
