"""The suite runs in two processes (pytest-xdist), each with one thread: with two threads each they would only spin."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
