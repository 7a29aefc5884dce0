"""The one validator of names: they become folders, registry names, keys of metrics, URLs and tags."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from gan_models.errors import AtelierError

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
# How keys of metrics name labels, styles and classes of pixels, and how files name a degradation's pictures.
RESERVED_PREFIXES = ("label_", "style_", "class_")
RESERVED_SUFFIXES = ("_worst", "_best")


class InvalidNameError(AtelierError, ValueError):
    """A name that cannot be used; the message says what a name looks like and offers a valid one near it."""


def validate_name(name: str, what: str) -> str:
    """Return `name` itself, if it can name a `what` ("dataset", "model"): [a-z][a-z0-9_-]*, 64 characters at most.

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


def validate_degradation_name(name: str) -> str:
    """Return `name` itself, if it can name a degradation: it then stands alone in keys of metrics and names of files.

    Raises:
        InvalidNameError: it is no name, or one that could be taken for a label, a style, or another's pictures.
    """
    validate_name(name, "degradation")
    if name.startswith(RESERVED_PREFIXES):
        raise InvalidNameError(
            f"{name!r} cannot name a degradation: what begins with {name.partition('_')[0]}_ is a "
            f"{name.partition('_')[0]} of the data; {name.partition('_')[2] or 'noise'!r} would do"
        )
    if name.endswith(RESERVED_SUFFIXES):
        ending = name.rpartition("_")[2]
        raise InvalidNameError(
            f"{name!r} cannot name a degradation: pictures of the {ending} cases end with _{ending}; "
            f"{name.rpartition('_')[0] or 'noise'!r} would do"
        )
    return name


def _nearest(name: str) -> str | None:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    near = re.sub(r"[^a-z0-9_]+", "-", plain).lstrip("0123456789_-")[:64].rstrip("-")
    return near or None


Name = Annotated[str, AfterValidator(lambda name: validate_name(name, "name"))]
DomainName = Annotated[str, AfterValidator(lambda name: validate_name(name, "domain"))]
DegradationName = Annotated[str, AfterValidator(validate_degradation_name)]
