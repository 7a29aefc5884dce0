"""Values that are what a test needs, or a failure that says what they are instead."""

from typing import TypeVar

Value = TypeVar("Value")


def present(value: Value | None) -> Value:
    """Return a value that has to be there."""
    assert value is not None, "it is missing"
    return value


def of_type(kind: type[Value], value: object) -> Value:
    """Return a value that has to be of a type."""
    assert isinstance(value, kind), f"it is a {type(value).__name__}, and not a {kind.__name__}"
    return value
