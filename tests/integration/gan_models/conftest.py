"""Fixtures of the models."""

from tests.support.seeded import seeded as seeded
