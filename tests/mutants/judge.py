"""Runs the tests against one mutant, in a fork of a process that has already imported much of what is not under test."""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.machinery
import inspect
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Literal

import pytest

from tests.mutants.mutate import Mutant, functions
from tests.mutants.suites import FUNCTION, ROOT, Suite, file_of, modules, name_of

# Plugins that a fork finds imported already cannot be rewritten, and pytest would make an error of that.
QUIET = ("-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=no")
QUIET += ("-W", "ignore::pytest.PytestAssertRewriteWarning")
# A busy machine ends no test: a mutant's have limits of their own.
QUIET += ("-o", "timeout=600")
PLUGINS = ("pytest_asyncio.plugin", "_hypothesis_pytestplugin", "pytest_timeout")
"""What these tests need; all the others that are installed would be loaded for each mutant anew."""

HEAVY = (
    "httpx",
    "starlette.requests",
    "starlette.applications",
    "msgspec",
    "hypothesis",
    "pytest_asyncio",
    "standardwebhooks",
    "svix",
    "logging.config",
    "google.cloud.firestore",
    "google.cloud.storage",
    "google.cloud.tasks_v2",
)

QUIET += tuple(word for plugin in PLUGINS for word in ("-p", plugin))


Verdict = Literal["alive", "killed", "endless"]
"""No test noticed; a test failed; a test did not end, which counts as killed."""

_AT_FIRST = 12
"""At least so many tests are in the first lot: a fork costs more than they do."""

_LEEWAY_S = 1.0
_TIMES = 5
"""A test may take this many times the processor time it took when watched, and a second: then it is taken for one that never ends."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What each test runs: (module, first line of a function) -> tests, and the seconds of processor time that each took."""

    by_function: Mapping[tuple[str, int], Sequence[str]]
    seconds: Mapping[str, float]

    def lots(self, module: str, line: int) -> list[Mapping[str, float]]:
        """Test -> how long it may take, in two lots: the likeliest to notice, and the others. Each lot fastest first."""
        own = _own(module)
        ordered = sorted(self._run(module, line), key=lambda test: (own not in test, self.seconds[test], test))
        first = max(_AT_FIRST, sum(own in test for test in ordered))
        limits = {test: _LEEWAY_S + _TIMES * self.seconds[test] for test in ordered}
        return [{test: limits[test] for test in lot} for lot in (ordered[:first], ordered[first:]) if lot]

    def _run(self, module: str, line: int) -> Sequence[str]:
        """The tests that run the innermost function around a line that any of them runs. What runs when a module is imported concerns those
        that run any of its functions, and those of its own file, which may look at a table only; where there is none, all."""
        for first in functions(file_of(module).read_text(encoding="utf-8"), line):
            if found := self.by_function.get((module, first)):
                return sorted(found)
        runs = {test for (name, _), tests in self.by_function.items() if name == module for test in tests}
        return sorted(runs | {test for test in self.seconds if _own(module) in test}) if runs else sorted(self.seconds)


def _own(module: str) -> str:
    """A part of the name of each test in the module's own file, `test_settings.py` for `settings`."""
    return f"/test_{module.rpartition('/')[2]}"


@contextmanager
def _mutated(module: str, source: str) -> Generator[None]:
    """Whatever loads this module in the block, by its name or by its file, gets another source."""
    loader, path = importlib.machinery.SourceFileLoader, str(file_of(module))
    real = loader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, fullname: str) -> CodeType | None:
        if os.path.realpath(self.path) != path:
            return real(self, fullname)
        return compile(source, path, "exec", dont_inherit=True)

    loader.get_code = get_code  # ty: ignore[invalid-assignment]
    try:
        yield
    finally:
        loader.get_code = real


class _SameExamples:
    """The same examples each time, and no memory of former runs: a mutant's verdict must not depend on chance. And no smallest one."""

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        from hypothesis import Phase, settings

        # After conftest's profile, before the tests' own settings, which take from this one what they do not say themselves.
        base, phases = settings.get_profile("rtmskit"), (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", base, max_examples=40, derandomize=True, database=None, print_blob=False, phases=phases)
        settings.load_profile("mutants")


class _Limits:
    """Ends the process when a test takes far longer than it should: processor time, so that a busy machine kills no mutant."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item):
        signal.setitimer(signal.ITIMER_PROF, self._seconds[item.nodeid])
        try:
            return (yield)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


class _Watch:
    """Which tests run which functions, in any thread, and how long each takes. (Lines would be exact, and take ten times as long.)"""

    def __init__(self) -> None:
        self._prefix = f"{FUNCTION}{os.sep}"
        self._functions: dict[str, set[CodeType]] = defaultdict(set)
        self._seconds: dict[str, float] = {}
        self.failed = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item):
        with self._traced(self._functions[item.nodeid]):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item):
        began = time.process_time()
        with self._traced(self._functions[item.nodeid]):
            try:
                return (yield)
            finally:
                self._seconds[item.nodeid] = time.process_time() - began

    @contextmanager
    def _traced(self, codes: set[CodeType]) -> Generator[None]:
        def entered(frame, event, arg):
            codes.add(frame.f_code)

        threading.settrace(entered)
        sys.settrace(entered)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def seen(self) -> Seen:
        found: dict[tuple[str, int], list[str]] = defaultdict(list)
        for test in self._seconds:  # one that was skipped has none
            for code in self._functions[test]:
                # What runs on import belongs to no test: not the body of a module, nor that of a class.
                if code.co_filename.startswith(self._prefix) and code.co_flags & inspect.CO_OPTIMIZED:
                    found[str(name_of(Path(code.co_filename))), code.co_firstlineno].append(test)
        return Seen(dict(found), self._seconds)


def warm() -> None:
    """Import what is not under test, once for all forks."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in HEAVY:
        importlib.import_module(name)


def watch(suite: Suite) -> Seen:
    """Run every test of a suite on the function as it is. Raises RuntimeError if one fails."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for module in modules():
        if module != "main":  # which would want settings
            importlib.import_module(f"rtms_relay.{module.replace('/', '.')}")
    watcher = _Watch()
    ignored = [f"--ignore={path}" for path in suite.ignored]
    marked = "not long" if suite.emulator else "not long and not emulator"
    code = _silently(lambda: pytest.main([*QUIET, "-m", marked, *ignored, *suite.tests], plugins=[watcher, _SameExamples()]))
    if code != 0 or watcher.failed:
        raise RuntimeError(f"the tests fail as it is (exit code {code}): {' '.join(suite.tests)}")
    return watcher.seen()


def verdict(module: str, source: str, tests: Mapping[str, float], within_s: float) -> Verdict:
    """Whether any of the tests fails, or does not end in time, with this source in the module's place.

    `tests`: test -> seconds of processor time. `within_s`: of the clock on the wall, for all of them, should one wait for ever.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        code = 1
        try:
            with _mutated(module, source):
                code = _silently(lambda: pytest.main([*QUIET, *tests], plugins=[_SameExamples(), _Limits(tests)]))
        finally:
            os._exit(0 if code == 0 else 1)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            endless = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
            return "endless" if endless else "killed" if status else "alive"
        time.sleep(0.01)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "endless"


Lots = Sequence[Mapping[str, float]]


def _verdict_of(module: str, source: str, lots: Lots, within_s: float) -> Verdict:
    """By one lot after the other: most mutants are noticed by the first."""
    for lot in lots:
        found = verdict(module, source, lot, within_s)
        if found != "alive":
            return found
    return "alive"


def unharmed(module: str, lots: Lots, within_s: float) -> float | None:
    """How long the module takes when nothing is changed in it, in s on the wall.

    None: it does not even survive that, and every mutant would be "killed" by the way it is run.
    """
    began = time.monotonic()
    plain = ast.unparse(ast.parse(file_of(module).read_text(encoding="utf-8")))
    return time.monotonic() - began if _verdict_of(module, plain, lots, within_s) == "alive" else None


def judged(work: tuple[str, Mutant, Lots, float]) -> tuple[Mutant, Verdict]:
    """For a pool of processes: the mutant comes back with the verdict."""
    module, mutant, lots, within_s = work
    return mutant, _verdict_of(module, mutant.source, lots, within_s)


def state() -> str:
    """Of the tests and of what they test: a run in which it changes proves nothing, for a test that is gone fails too."""
    files = sorted(path for folder in (FUNCTION, ROOT / "tests") for path in folder.rglob("*.py"))
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def _silently(run) -> int:
    saved = os.dup(1), os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        return int(run())
    finally:
        for number, fd in zip((1, 2), saved, strict=True):
            os.dup2(fd, number)
            os.close(fd)
        os.close(null)
