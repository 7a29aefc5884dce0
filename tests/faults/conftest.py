"""Fixtures of the platform."""

from tests.support.project import empty_database as empty_database
