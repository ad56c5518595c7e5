"""Runs the tests against one mutant, in a fork of a process that has already imported all that is not under test."""

from __future__ import annotations

import ast
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest

from tests.mutants.mutate import Mutant

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "function" / "rtms_relay"
TESTS = ("tests/unit/relay", "tests/property/relay")
OUT = ("--ignore=tests/unit/relay/adapters", "--ignore=tests/unit/relay/test_main.py")
"""Adapters are not under test here; test_main starts processes, which would not know of the mutant."""

# Plugins that a fork finds imported already cannot be rewritten, and pytest would make an error of that.
QUIET = ("-q", "-x", "-p", "no:cacheprovider", "--no-header", "--tb=no")
QUIET += ("-W", "ignore::pytest.PytestAssertRewriteWarning")
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
)

QUIET += tuple(word for plugin in PLUGINS for word in ("-p", plugin))


Verdict = Literal["alive", "killed", "endless"]
"""No test noticed; a test failed; a test did not end, which counts as killed."""

_LEEWAY_S = 1.0
_TIMES = 5
"""A test may take this many times the processor time it took when watched, and a second: then it is taken for one that never ends."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What each test runs: (module, line) -> tests, and the seconds of processor time that each took while it was watched."""

    by_line: Mapping[tuple[str, int], Sequence[str]]
    seconds: Mapping[str, float]

    def tests(self, module: str, line: int) -> Mapping[str, float]:
        """Test -> how long it may take: the module's own tests first, each lot fastest first. All, for lines that run before any test."""
        own = f"/test_{module.rpartition('/')[2]}"
        found = self.by_line.get((module, line), self.seconds)
        ordered = sorted(found, key=lambda test: (own not in test, self.seconds[test], test))
        return {test: _LEEWAY_S + _TIMES * self.seconds[test] for test in ordered}


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives out one module of the package with another source."""

    def __init__(self, module: str, source: str) -> None:
        self._module, self._source = f"rtms_relay.{module.replace('/', '.')}", source

    def find_spec(self, fullname: str, path: object, target: ModuleType | None = None) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_file_location(fullname, PACKAGE / f"{fullname.partition('.')[2].replace('.', '/')}.py", loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, str(module.__file__), "exec", dont_inherit=True), module.__dict__)


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
    """Which tests run which lines of the package, and how long each takes."""

    def __init__(self) -> None:
        self._prefix = f"{PACKAGE}{os.sep}"
        self._lines: dict[str, set[tuple[str, int]]] = {}
        self._seconds: dict[str, float] = {}
        self.failed = False

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item):
        lines = self._lines[item.nodeid] = set()
        began = time.process_time()

        def within(frame, event, arg):
            lines.add((frame.f_code.co_filename, frame.f_lineno))
            return within

        def entered(frame, event, arg):
            return within(frame, event, arg) if frame.f_code.co_filename.startswith(self._prefix) else None

        sys.settrace(entered)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self._seconds[item.nodeid] = time.process_time() - began

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed = self.failed or report.failed

    def seen(self) -> Seen:
        found: dict[tuple[str, int], list[str]] = defaultdict(list)
        for test, lines in self._lines.items():
            for file, line in lines:
                found[Path(file).relative_to(PACKAGE).with_suffix("").as_posix(), line].append(test)
        return Seen(dict(found), self._seconds)


def warm() -> None:
    """Import what is not under test, once for all forks."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    for name in HEAVY:
        importlib.import_module(name)


def watch() -> Seen:
    """Run every test on the package as it is. Raises RuntimeError if one fails."""
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    watcher = _Watch()
    code = _silently(lambda: pytest.main([*QUIET, *OUT, *TESTS], plugins=[watcher, _SameExamples()]))
    if code != 0 or watcher.failed:
        raise RuntimeError(f"the tests of rtms_relay fail as it is (exit code {code})")
    return watcher.seen()


def verdict(module: str, source: str, tests: Mapping[str, float], within_s: float) -> Verdict:
    """Whether any of the tests fails, or does not end in time, with this source in the module's place.

    `tests`: test -> seconds of processor time. `within_s`: of the clock on the wall, for all of them, should one wait for ever.
    """
    child = os.fork()
    if child == 0:
        os.setsid()
        sys.meta_path.insert(0, _Mutated(module, source))
        code = 1
        try:
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


def unharmed(module: str, tests: Mapping[str, float], within_s: float) -> float | None:
    """How long the module takes when nothing is changed in it, in s on the wall.

    None: it does not even survive that, and every mutant would be "killed" by the way it is run.
    """
    began = time.monotonic()
    plain = ast.unparse(ast.parse((PACKAGE / f"{module}.py").read_text()))
    return time.monotonic() - began if verdict(module, plain, tests, within_s) == "alive" else None


def judged(work: tuple[str, Mutant, Mapping[str, float], float]) -> tuple[Mutant, Verdict]:
    """For a pool of processes: the mutant comes back with the verdict."""
    module, mutant, tests, within_s = work
    return mutant, verdict(module, mutant.source, tests, within_s)


def state() -> str:
    """Of the tests and of what they test: a run in which it changes proves nothing, for a test that is gone fails too."""
    files = sorted(path for folder in (PACKAGE, ROOT / "tests") for path in folder.rglob("*.py"))
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
