"""All that the mutators have, on demand: `python -m tests.property.media [--transcripts N] [--media N]`; exit code 1 for any find."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.property.media import test_recordings, test_transcripts
from tests.property.media.recordings import Made, corpus, recording

_files: list[Made] = []


def _prepare(folder: str) -> None:
    """In each process: files of its own to change."""
    own = Path(tempfile.mkdtemp(dir=folder))
    _files.extend(corpus(own))


def media_fault(seed: int) -> str | None:
    made = recording(seed, _files, _files[0].path.parent)
    try:
        wrong = test_recordings.fault(made)
    finally:
        made.path.unlink()
    return f"seed {seed}: {wrong}" if wrong else None


class _Guarded:
    """A check whose exceptions are findings, too."""

    def __init__(self, fault: Callable[[int], str | None]) -> None:
        self._fault = fault

    def __call__(self, seed: int) -> str | None:
        try:
            return self._fault(seed)
        except Exception as error:  # noqa: BLE001  # whatever it is: it is what is looked for
            return f"seed {seed}: {type(error).__name__}: {error}"


def _run(what: str, fault: Callable[[int], str | None], count: int, jobs: int, folder: str) -> int:
    began, wrong = time.monotonic(), 0
    with multiprocessing.Pool(jobs, _prepare, (folder,)) as pool:
        for done, found in enumerate(pool.imap_unordered(_Guarded(fault), range(count), chunksize=20), 1):
            if found:
                wrong += 1
                print(found, flush=True)
            if done % max(1, count // 10) == 0:
                print(f"{what}: {done:,} of {count:,}, {wrong} wrong, {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transcripts", type=int, default=100_000)
    parser.add_argument("--media", type=int, default=5_000)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        wrong = _run("transcripts", test_transcripts.fault, options.transcripts, options.jobs, folder)
        wrong += _run("media files", media_fault, options.media, options.jobs, folder)
    return min(1, wrong)


if __name__ == "__main__":
    sys.exit(main())
