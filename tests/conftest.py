"""The suite runs in two processes (pytest-xdist), each with one thread: with two threads each they would only spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from tests.support.s3_server import s3_server as s3_server
from tests.support.s3_server import s3_server_to_kill as s3_server_to_kill
