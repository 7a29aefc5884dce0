"""Errors of versions that a person can mend."""

from gan_models.errors import AtelierError


class VersioningError(AtelierError):
    """DVC or git could not do what was asked; the message says what and what to do."""


class LostVersionError(VersioningError):
    """A version of which something is neither in the cache nor, as it was, in the remote."""


class GoneVersionError(LostVersionError):
    """A version of which the remote answers that it does not have something, and neither is that here."""
