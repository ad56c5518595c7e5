"""How the program is built: what it imports, what it is installed from, and that what it watches for is really logged."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

from rtms_infra.alerts import COUNTERS
from rtms_infra.source import files
from rtms_relay.logs import EVENTS
from tests.infra.deployment import PROGRAM, ROOT

MODULES = sorted((PROGRAM / "rtms_infra").glob("*.py"))


def imported(path: Path) -> set[str]:
    """Dotted names of everything that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_the_program_imports_pulumi_and_nothing_else_that_must_be_installed() -> None:
    for path in [*MODULES, PROGRAM / "__main__.py"]:
        tops = {name.partition(".")[0] for name in imported(path)}
        assert tops <= sys.stdlib_module_names | {"pulumi", "pulumi_gcp", "rtms_infra", "rtms_relay"}, path.name
        if "rtms_relay" in tops:  # the functions' table of settings, from the same checkout; and msgspec, which it needs, is pinned here
            assert path.stem == "function_settings"
    assert "msgspec" in pins(PROGRAM / "requirements.txt")


def test_compute_is_never_touched() -> None:
    """pulumi_gcp.compute takes 0.7 s and 62 MB to import, on every `pulumi up`."""
    assert not any("compute" in name for path in MODULES for name in imported(path))


def test_the_tables_and_the_configuration_are_pure() -> None:
    for name in ("alerts", "config", "costs", "dashboard", "keys", "numbers", "regions", "source"):
        assert not any(found.startswith("pulumi") for found in imported(PROGRAM / "rtms_infra" / f"{name}.py")), name


def test_the_entry_point_is_a_few_lines() -> None:
    assert len((PROGRAM / "__main__.py").read_text().splitlines()) < 30


def test_every_event_that_is_counted_is_logged_by_the_functions() -> None:
    for events, _ in COUNTERS.values():
        assert set(events) <= set(EVENTS)


def pins(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Package -> (version, hashes)."""
    found = {}
    for entry in re.split(r"\n(?=[a-z])", path.read_text()):
        named = re.match(r"([a-z0-9-]+)==(\S+)", entry)
        if named:
            found[named[1]] = (named[2], frozenset(re.findall(r"--hash=(\S+)", entry)))
    return found


def test_the_program_is_pinned_with_hashes_to_what_the_tests_run() -> None:
    program, tested = pins(PROGRAM / "requirements.txt"), pins(ROOT / "requirements" / "test.txt")
    assert {"pulumi", "pulumi-gcp", "grpcio", "protobuf"} <= set(program)
    for name, (version, hashes) in program.items():
        assert hashes, name
        assert tested[name] == (version, hashes), name
    assert "index-url" not in (PROGRAM / "requirements.txt").read_text()


def test_the_functions_are_pinned_to_what_the_tests_run() -> None:
    function, tested = pins(ROOT / "function" / "requirements.txt"), pins(ROOT / "requirements" / "test.txt")
    assert all(tested[name] == pin for name, pin in function.items())
    assert "pulumi" not in function


def test_the_types_are_checked_in_seconds() -> None:
    """Of processor time: a busy machine with cold files takes longer. In this environment, which need not be .venv."""
    check = 'ulimit -t 10; exec "$0/bin/ty" check --python "$0" infra'
    done = subprocess.run(["sh", "-c", check, sys.prefix], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)


def test_every_deployed_module_is_one_that_main_reaches() -> None:
    """Nothing is deployed that nothing runs: each module is imported, at the top or when needed, from main.py on, or from the
    dispatcher that `rtmskit serve` starts with ``python -m``."""
    modules = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", "."): name
        for name in files(ROOT / "function")
        if name.endswith(".py")
    }
    reached, ahead = set(), ["main", "rtms_relay.dispatching"]
    while ahead:
        module = ahead.pop()
        if module in reached or module not in modules:
            continue
        reached.add(module)
        parts = module.split(".")
        ahead += [".".join(parts[:end]) for end in range(1, len(parts))]
        for name in imported(ROOT / "function" / modules[module]):
            ahead += [name, name.rpartition(".")[0]]
    assert set(modules) == reached
