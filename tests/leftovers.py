"""A test that leaves something behind fails itself, not its successor: descriptors, tasks, threads, processes.

What fixtures of a wider scope hold is there before the test and may stay. The comparison is cheap, so that every test can have it;
only when something new is there is the garbage collected, which names the object that was never closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path
from types import CoroutineType
from typing import Any

import pytest

PATIENCE_S = 20.0
"""How long what is already ending may take to end: a thread that waits for a processor on a busy machine takes its time."""

TICKS = 5
"""How many rounds of a loop what is already ending may take to end."""

DESCRIPTORS = Path("/proc/self/fd")
STANDARD = {"0", "1", "2"}
"""pytest's capture exchanges these."""
LASTING = ("/dev/", "anon_inode:", "/memfd:")
"""Descriptors that are no leak by themselves: devices, and an event loop's own poll, which goes with its sockets."""


@dataclass(frozen=True, slots=True)
class Census:
    """What this process holds: (number, target) of each descriptor, its threads, the ids of its children."""

    descriptors: frozenset[tuple[str, str]]
    threads: frozenset[threading.Thread]
    children: frozenset[int]

    @classmethod
    def taken(cls) -> Census:
        return cls(frozenset(_descriptors()), frozenset(threading.enumerate()), frozenset(_children()))

    def and_new(self, now: Census, before: Census) -> Census:
        """This one, and what has come between two others."""
        return Census(
            self.descriptors | (now.descriptors - before.descriptors),
            self.threads | (now.threads - before.threads),
            self.children | (now.children - before.children),
        )

    def new_since(self, before: Census) -> list[str]:
        """What is here and was not there before, as text."""
        return [
            *(f"descriptor {number} {target}" for number, target in sorted(self.descriptors - before.descriptors)),
            *(f"thread {thread.name}" for thread in self.threads - before.threads if thread.is_alive()),
            *(f"process {child} {_command(child)}" for child in sorted(self.children - before.children)),
        ]


def _descriptors() -> Iterator[tuple[str, str]]:
    if not DESCRIPTORS.is_dir():  # not Linux: threads and tasks are still compared
        return
    for name in set(os.listdir(DESCRIPTORS)) - STANDARD:  # noqa: PTH208  # before and after each test: no objects for paths
        with contextlib.suppress(OSError):
            target = os.readlink(f"{DESCRIPTORS}/{name}")  # noqa: PTH115
            if not target.startswith(LASTING):
                yield name, target


def _children() -> Iterator[int]:
    for thread in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, thread.read_text().split())


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_text().replace("\0", " ")[:200].strip()
    except OSError:
        return ""


def left_since(before: Census) -> list[str]:
    """What is left of a test, after what was ending has ended and what was garbage is collected."""
    if not Census.taken().new_since(before):
        return []
    warned = _collect()
    give_up_at = time.monotonic() + PATIENCE_S
    while (left := Census.taken().new_since(before)) and time.monotonic() < give_up_at:
        time.sleep(0.02)
        # A thread that was ending may have held what is garbage only now.
        warned += _collect()
    return [*warned, *left]


def _collect() -> list[str]:
    """Collect the garbage; what was never closed warns of it while it goes."""
    warned: list[str] = []
    kept, sys.unraisablehook = sys.unraisablehook, lambda unraisable: warned.append(str(unraisable.exc_value))
    try:
        gc.collect()
    finally:
        sys.unraisablehook = kept
    return warned


class TaskWatch:
    """Notes the tasks that were still running when a loop was closed."""

    def __init__(self) -> None:
        self.left: list[str] = []

    def install(self, patch: pytest.MonkeyPatch) -> None:
        cancel: Any = asyncio.runners._cancel_all_tasks  # ty: ignore[missing-attribute]

        def noted(loop: asyncio.AbstractEventLoop) -> None:
            # A connection that was just closed hears of it in the loop's next rounds.
            for _ in range(TICKS):
                loop.run_until_complete(asyncio.sleep(0))
            self.left += [f"task {task.get_name()} {task.get_coro()!r}" for task in asyncio.all_tasks(loop) if not _is_grpcs(task)]
            cancel(loop)

        patch.setattr(asyncio.runners, "_cancel_all_tasks", noted)


def _is_grpcs(task: asyncio.Task[Any]) -> bool:
    """gRPC has tasks of its own, which end some time after the channel was closed. No Python of ours is compiled by Cython."""
    return not isinstance(task.get_coro(), CoroutineType)


BEFORE = pytest.StashKey[Census]()


class Leftovers:
    """The pytest plugin: `take` is what an autouse fixture of function scope calls, after those of wider scopes."""

    def __init__(self) -> None:
        # One for the process, begun with the first use of a lock between processes: so that no test seems to have left it.
        resource_tracker.ensure_running()
        self._tasks = TaskWatch()
        self._patch = pytest.MonkeyPatch()
        self._tasks.install(self._patch)
        self._item: pytest.Item | None = None

    def pytest_unconfigure(self) -> None:
        self._patch.undo()

    @pytest.fixture(autouse=True)
    def _census(self, request: pytest.FixtureRequest) -> None:
        self._item = request.node
        request.node.stash[BEFORE] = Census.taken()
        self._tasks.left.clear()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Generator[None, Any, Any]:
        """What a fixture of a wider scope makes stays, also if the test asks for that fixture only while it runs."""
        if fixturedef.scope == "function" or self._item is None:
            return (yield)
        before = Census.taken()
        made = yield
        self._item.stash[BEFORE] = self._item.stash[BEFORE].and_new(Census.taken(), before)
        return made

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        yield
        self._item = None
        if BEFORE not in item.stash:
            return
        # The item holds the fixtures' values until it is done with: they are not what the test left.
        getattr(item, "funcargs", {}).clear()
        tasks = [] if item.get_closest_marker("leaves_tasks") else self._tasks.left.copy()
        self._tasks.left.clear()
        left = [*tasks, *left_since(item.stash[BEFORE])]
        if left:
            pytest.fail("the test left behind:\n  " + "\n  ".join(left), pytrace=False)
