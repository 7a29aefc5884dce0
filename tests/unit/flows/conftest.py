"""Fixtures of the platform."""

from tests.support.project import atelier as atelier
from tests.support.project import dead_address as dead_address
from tests.support.project import empty_database as empty_database
from tests.support.project import project as project
from tests.support.project import tracking as tracking
