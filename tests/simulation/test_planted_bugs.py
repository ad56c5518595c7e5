"""Each planted bug is caught: what the other tests are worth."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.planted import BUGS, Bug

ROOT = Path(__file__).resolve().parents[2]
SEEDS = 40
SEEN = "sys.exit(3 if sys.argv[1] in {line.partition(':')[0] for line in broken} or (broken and not sys.argv[1]) else 0)"
HUNTERS = {
    "simulation": f"""
from itertools import islice
from tests.simulation.campaign import play
from tests.simulation.weather import draw
broken = []
for seed in islice((seed for seed in range(1000) if sys.argv[2] in ("", draw(seed).kind)), {SEEDS}):
    broken += [line for _, line in play([seed]).broken]
    if sys.argv[1] in {{line.partition(':')[0] for line in broken}} or (broken and not sys.argv[1]):
        sys.exit(3)
print(*broken[:20], sep="\\n")
""",
    "rush": f"from tests.simulation.rush import rush; broken = rush().verdict.broken; {SEEN}",
    "small scope": """
from tests.simulation.explorer import Violation
from tests.simulation.small_scope import SCENES, explore
try:
    for name in [name for name in SCENES if not name.startswith("five")]:
        explore(name)
except Violation:
    sys.exit(3)
""",
}
GUARANTEES = ("G1", "G1'", "G2", "G3", "G4", "G5", "G6", "G7", "G8", "G9", "G10")


@pytest.mark.once
@pytest.mark.timeout(300)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_bug_is_caught(bug: Bug, tmp_path: Path) -> None:
    function = tmp_path / "function"
    shutil.copytree(ROOT / "function", function, ignore=shutil.ignore_patterns("__pycache__"))
    module = function / "rtms_relay" / bug.module
    source = module.read_text(encoding="utf-8")
    assert source.count(bug.source) == 1, f"the source that {bug.name!r} replaces is no longer in {bug.module}: mend the patch"
    patched = source.replace(bug.source, bug.instead)
    if "_KEPT" in bug.instead:
        patched += "\n_KEPT: dict[tuple[str, str], Link] = {}\n"
    module.write_text(patched, encoding="utf-8")
    env = {**os.environ, "PYTHONPATH": f"{function}{os.pathsep}{ROOT}", "PYTHONDONTWRITEBYTECODE": "1"}
    if bug.hunter in HUNTERS:
        script = f"import sys, rtms_relay; assert {str(function)!r} in rtms_relay.__file__\n{HUNTERS[bug.hunter]}"
        command = [sys.executable, "-c", script, bug.guarantee, bug.weather]
        caught = 3
    else:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=--import-mode=importlib",
            bug.hunter,
        ]
        caught = 1
    found = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert found.returncode == caught, f"{bug.name}: not caught by {bug.hunter}\n{found.stdout[-2000:]}{found.stderr[-2000:]}"


def test_each_has_a_name_and_names_a_promise_only_if_the_simulation_hunts_it() -> None:
    assert len(BUGS) == len({bug.name for bug in BUGS}) >= 45
    hunted = Counter(bug.guarantee for bug in BUGS if bug.hunter in ("simulation", "rush"))
    assert all(hunted[guarantee] >= 2 for guarantee in GUARANTEES)
    assert {bug.guarantee for bug in BUGS} <= {"", *GUARANTEES}
    assert {bug.name for bug in BUGS if bug.guarantee and bug.hunter not in ("simulation", "rush")} == set()
