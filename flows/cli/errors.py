"""Errors of the command line itself."""

from gan_models.errors import AtelierError


class UsageError(AtelierError):
    """A command that cannot do what its arguments ask for, here and now; the message says what to give instead."""
