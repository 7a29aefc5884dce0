"""The log of a flow run in the terminal of its worker, for as long as there is one."""

import contextlib
import logging

from prefect.logging.handlers import PrefectConsoleHandler


class PatientConsoleHandler(PrefectConsoleHandler):
    """Prefect's handler, but for its end of the process where nobody reads any more.

    A flow run whose worker was killed would end so in the middle of telling the server that it has crashed.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or leave it."""
        with contextlib.suppress(SystemExit):
            super().emit(record)
