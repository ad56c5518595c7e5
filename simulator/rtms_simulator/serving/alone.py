"""One process, and one thread of it, at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(path: Path, *, waiting: bool) -> Generator[None]:
    """Hold a file or a folder that exists, as long as the block lasts; its content is not touched. A process that is killed holds nothing.

    `waiting`: until nobody else holds it. Otherwise raises BlockingIOError if somebody does.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if waiting else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
