"""The one validator for names of datasets and models: they become folders, registry names, URLs and tags."""

import re
import unicodedata

from gan_models.errors import AtelierError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")


class InvalidNameError(AtelierError, ValueError):
    """A name that cannot be used; the message says what a name looks like and offers a valid one near it."""


def validate_name(name: str, what: str) -> str:
    """`name` itself, if it can name a `what` ("dataset", "model"): [a-z][a-z0-9_-]*, 64 characters at most.

    Raises:
        InvalidNameError: anything else, `../`, control characters and look-alike letters included.
    """
    if _NAME.fullmatch(name):
        return name
    shown = ascii(name) if len(name) <= 80 else f"{name[:40]!a}... ({len(name)} characters)"
    near = _nearest(name[:256])
    hint = f"; {near!r} would do" if near else ""
    raise InvalidNameError(
        f"{shown} cannot name a {what}: a name is 1 to 64 lower-case letters, digits, '-' and '_', letter first{hint}"
    )


def _nearest(name: str) -> str | None:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    near = re.sub(r"[^a-z0-9_]+", "-", plain).lstrip("0123456789_-")[:64].rstrip("-")
    return near or None
