"""Errors of MLflow that a person can mend."""

from gan_models.errors import AtelierError


class TrackingError(AtelierError):
    """MLflow cannot be reached or does not have what was asked for; the message says what to do."""
