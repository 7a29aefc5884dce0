"""Errors of the stages that a person can mend."""

from gan_models.errors import AtelierError


class StageError(AtelierError):
    """A stage could not do its work; the message is one sentence with the cause and the remedy."""
