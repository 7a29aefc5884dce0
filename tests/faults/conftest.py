"""Fixtures of the platform."""

from tests.support.dataset_stage import build as build
from tests.support.dataset_stage import built as built
from tests.support.dataset_stage import built_once as built_once
from tests.support.dataset_stage import without_prefect as without_prefect
from tests.support.mlflow_server import mlflow_server as mlflow_server
from tests.support.prefect_server import empty_prefect as empty_prefect
from tests.support.prefect_server import prefect_server as prefect_server
from tests.support.prefect_server import prefect_servers as prefect_servers
from tests.support.project import atelier as atelier
from tests.support.project import dead_address as dead_address
from tests.support.project import empty_database as empty_database
from tests.support.project import project as project
from tests.support.project import tracking as tracking
