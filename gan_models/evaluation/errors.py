"""What can go wrong in an evaluation, said in one line to the person who started it."""

from gan_models.errors import AtelierError


class EvaluationError(AtelierError):
    """An evaluation that cannot be made; the message says why and what to do."""


class InsufficientDataError(EvaluationError):
    """Too few images to say anything."""

    def __init__(self, what: str, found: int, needed: int) -> None:
        super().__init__(f"insufficient data: {found} {what}, and at least {needed} are needed")


class NonFiniteError(EvaluationError):
    """NaN or infinity in images or features, found before any linear algebra."""


class IncomparableError(EvaluationError):
    """Two evaluations that were made under different protocols; the message names the part that differs."""
