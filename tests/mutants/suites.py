"""Which modules are broken, and which tests answer for each: all of the relay's for its cores, those in a table for every other one.

Of the tests named here those are run for a mutant that run its function (`judge.watch`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.mutants.mutate import places

ROOT = Path(__file__).parents[2]
FUNCTION = ROOT / "function"
PACKAGE = FUNCTION / "rtms_relay"

CORES = (
    "zoom",
    "recall",
    "handoff/keys",
    "handoff/facts",
    "handoff/attempt",
    "handoff/retrieval",
    "handoff/erasure",
    "handoff/record",
    "handing",
)
"""They come first: what a mistake costs is greatest there."""

UNIT, ADAPTERS, CONTRACT, SECURITY = "tests/unit/relay", "tests/unit/relay/adapters", "tests/contract", "tests/security"


@dataclass(frozen=True, slots=True)
class Suite:
    """`tests`: files and folders. `ignored`: what is left out of them. `emulator`, `gcs`: whether they need that server."""

    tests: tuple[str, ...]
    ignored: tuple[str, ...] = ()
    emulator: bool = False
    gcs: bool = False


RELAY = Suite(
    (
        UNIT,
        "tests/property/relay",
        *(f"{SECURITY}/test_{name}.py" for name in ("constant_time", "forgery", "hostile_recall", "leaks", "ssrf")),
    ),
    ignored=(ADAPTERS, f"{SECURITY}/test_real_process.py"),
)


def _units(*names: str) -> Suite:
    """Files of the relay's unit tests."""
    return Suite(tuple(f"{UNIT}/test_{name}.py" if "/" not in name else f"{UNIT}/{name}.py" for name in names))


def _adapters(*names: str, contract: tuple[str, ...] = (), emulator: bool = False, gcs: bool = False) -> Suite:
    files = (*(f"{ADAPTERS}/test_{name}.py" for name in names), *(f"{CONTRACT}/test_{name}.py" for name in contract))
    return Suite(files, emulator=emulator, gcs=gcs)


_FILES = _adapters("archive_files", contract=("archive",), gcs=True)
_SETTINGS = _units("settings", "setting_values", "cases")

SUITES: Mapping[str, Suite] = {
    **dict.fromkeys(CORES, RELAY),
    # A core, too, but each of its tests is a whole hand-off: the others' would take an hour.
    "handing": Suite((f"{UNIT}/handing", *_units("whatever_fails", "worker", "handoffs", "recordings/test_recordings").tests)),
    "adapters/archive_files": _FILES,
    "adapters/archive_gcs": _adapters("archive_gcs", contract=("archive",), gcs=True),
    "adapters/cloud_tasks": _adapters("cloud_tasks"),
    "adapters/disk": _adapters("disk"),
    "adapters/documents": _adapters("documents", "sqlite", contract=("store",)),
    "adapters/firestore": _adapters("firestore", contract=("store",), emulator=True),
    "adapters/identity": _adapters("identity"),
    "adapters/local_dispatch": _adapters("local_dispatch"),
    "adapters/local_queue": _adapters("local_queue", contract=("queue",)),
    "adapters/needs": _adapters("needs"),
    "adapters/objects": _adapters("objects"),
    "adapters/recall_http": Suite((f"{ADAPTERS}/test_recall_http.py", f"{SECURITY}/test_hostile_recall.py", f"{UNIT}/test_wiring.py")),
    "adapters/sqlite": _adapters("sqlite", "durable", contract=("store",)),
    "adapters/sqlite_file": _adapters("sqlite_file", "sqlite", "durable"),
    "adapters/system": _adapters("system"),
    "budgets": _units("magnitudes", "budgets"),
    "callers": _units("callers"),
    "concurrently": _units("concurrently"),
    "checkup": _units("checkup"),
    "dispatching": _units("dispatching"),
    "enqueueing": _units("enqueueing"),
    "errors": _units("errors"),
    "handoff/answers": _units("handoff/test_answers"),
    "handoff/documents": _units("handoff/test_documents"),
    "handoff/retry": _units("handoff/test_retry", "handoffs"),
    "inquiries": _units("inquiries", "links"),
    "intake": _units("intake"),
    "listing": _units("listing"),
    "logs": Suite((f"{UNIT}/test_logs.py", f"{SECURITY}/test_leaks.py")),
    "notices": _units("notices", "severities"),
    "ports": _units("ports"),
    "recordings": _units("recordings/test_looks", "recordings/test_recordings", "inquiries"),
    "records": _units("records"),
    "retrying": _units("retrying", "handoff/test_retry", "handoffs"),
    "routes/http": _units("routes/test_http"),
    "routes/webhook": _units("routes/test_webhook", "routes/test_http"),
    "routes/worker": _units("routes/test_worker", "routes/test_http"),
    "setting_values": _SETTINGS,
    "settings": _SETTINGS,
    "shown": _units("shown"),
    "steady": _units("steady"),
    "sweeping": _units("sweeping"),
    "tasks": _units("tasks"),
    "tolerant": Suite((f"{UNIT}/test_tolerant.py", f"{UNIT}/test_zoom.py", "tests/property/relay/test_tolerance.py")),
    "wiring": _units("wiring", "budgets", "main"),
    "worker": _units("worker", "routes/test_worker"),
    "main": _units("main", "wiring"),
}
"""The tests that answer for a module."""


def file_of(module: str) -> Path:
    """The source of a module, which is named by its path below the package; `main` is what functions-framework loads."""
    return FUNCTION / "main.py" if module == "main" else PACKAGE / f"{module}.py"


def name_of(file: Path) -> str | None:
    """The other way round; None for a file that is not the function's."""
    if file == FUNCTION / "main.py":
        return "main"
    return file.relative_to(PACKAGE).with_suffix("").as_posix() if file.is_relative_to(PACKAGE) else None


def suite_of(module: str) -> Suite:
    return SUITES[module]


def modules() -> tuple[str, ...]:
    """Every module in which something can be broken, the cores first."""
    files = [file for file in PACKAGE.rglob("*.py") if file.name != "__init__.py"]  # those hold names only
    found = sorted(file.relative_to(PACKAGE).with_suffix("").as_posix() for file in files)
    rest = [name for name in found if name not in CORES and places(file_of(name).read_text(encoding="utf-8"))]
    return (*CORES, *rest, "main")
