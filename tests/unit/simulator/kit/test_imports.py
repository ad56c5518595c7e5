"""Every module of the kit can be the first that is imported: no two need each other."""

import subprocess
import sys

import pytest

PROGRAM = """
import importlib, pkgutil, sys
import rtms_simulator.kit
names = [one.name for one in pkgutil.iter_modules(rtms_simulator.kit.__path__, "rtms_simulator.kit.")]
wrong = []
for name in names:
    for loaded in [module for module in sys.modules if module.partition(".")[0] == "rtms_simulator"]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except ImportError as error:
        wrong.append(f"{name}: {error}")
print(len(names), *wrong, sep="\\n")
"""


@pytest.mark.timeout(520)
def test_every_module_can_be_imported_first():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=500)
    count, *wrong = done.stdout.splitlines()
    assert int(count) > 8
    assert wrong == []
