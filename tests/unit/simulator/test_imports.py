"""Every module of the simulator can be the first that is imported: no circle of imports shows only in a fresh process."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import importlib, pkgutil, sys
import rtms_simulator

names = [one.name for one in pkgutil.walk_packages(rtms_simulator.__path__, "rtms_simulator.")]
broken = []
for name in names[int(sys.argv[1]) :: int(sys.argv[2])]:
    for loaded in [one for one in sys.modules if one.partition(".")[0] == "rtms_simulator"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except ImportError as error:
        broken.append(f"{name}: {error}")
print(len(names), *broken, sep=chr(10))
"""


PARTS = 5
"""Each part has the time that a test has: together they take most of a minute, and a busy machine is several times slower."""


@pytest.mark.once
@pytest.mark.parametrize("part", range(PARTS))
def test_every_module_can_be_imported_first(part: int) -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT, str(part), str(PARTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    count, *broken = done.stdout.splitlines()
    assert int(count) > 150
    assert broken == []
