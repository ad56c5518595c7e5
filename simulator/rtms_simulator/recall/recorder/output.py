"""One artifact's file being written: its first error ends it, and nothing else."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import av

from rtms_simulator.recall.recorder.audio import AudioSink

WRITE_ERRORS = (OSError, av.FFmpegError)
STORAGE_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Writer(Protocol):
    """Whatever writes an artifact."""

    def close(self) -> None:
        """Complete the file."""

    def abandon(self) -> None:
        """Let go of the file after a failure."""


W = TypeVar("W", bound=Writer)


def write_failure(error: BaseException) -> str:
    """The sub_code of an artifact whose file could not be written [inf: Recall publishes none]."""
    return "storage_full" if getattr(error, "errno", None) in STORAGE_FULL else "artifact_write_failed"


class Output(Generic[W]):
    """A writer that may fail. After a failure nothing more is written, what was written is removed, and `sub_code` says why."""

    def __init__(self, path: Path, make: Callable[[Path], W]) -> None:
        self.path = path
        self.sub_code: str | None = None
        self.writer: W | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.writer = make(path)
        except WRITE_ERRORS as error:
            self._fail(error)

    def attempt(self, action: Callable[[W], None]) -> None:
        """Do something with the writer, unless it has failed before."""
        if self.writer is None:
            return
        try:
            action(self.writer)
        except WRITE_ERRORS as error:
            self._fail(error)

    def close(self) -> None:
        """Complete the file."""
        self.attempt(lambda writer: writer.close())
        self.writer = None

    def _fail(self, error: BaseException) -> None:
        self.sub_code = write_failure(error)
        writer, self.writer = self.writer, None
        if writer is not None:
            with contextlib.suppress(*WRITE_ERRORS):
                writer.abandon()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)


class AudioWriter(Writer, AudioSink, Protocol):
    """A writer that takes samples."""


A = TypeVar("A", bound=AudioWriter)


class AudioOutput(Output[A]):
    """An output that can stand at the end of a Track or Mixer."""

    def audio(self, data: bytes) -> None:
        """Append samples."""
        self.attempt(lambda writer: writer.audio(data))

    def silence(self, samples: int) -> None:
        """Append that many zero samples."""
        self.attempt(lambda writer: writer.silence(samples))
