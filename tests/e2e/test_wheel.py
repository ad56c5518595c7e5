"""The built wheel, outside the checkout: it carries everything, its command starts, its pytest plugin works."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

# One worker for this file: what all its tests share is made once.
pytestmark = pytest.mark.xdist_group("wheel")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(folder.glob("*.tar.gz"))) == 1
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An environment that has the wheel, and sees our dependencies but not our editable checkout (a .pth line is not followed further)."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin/python"


def run(python: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST", "COV"))}
    return subprocess.run([str(python), *argv], cwd=cwd, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_it_carries_every_file_of_the_packages(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    tracked = subprocess.run(["git", "ls-files", "function", "simulator", "infra"], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = {
        name.partition("/")[2]
        for name in tracked.stdout.splitlines()
        if name.split("/")[1] in ("rtms_relay", "rtms_simulator", "rtms_infra")
    }
    assert expected - packed == set()
    assert "rtmskit_function/main.py" in packed


def test_its_code_is_used_and_its_command_starts(installed, tmp_path):
    where = run(installed, "-c", "import rtms_simulator, rtms_relay; print(rtms_simulator.__file__, rtms_relay.__file__)", cwd=tmp_path)
    assert where.stdout.count(str(installed.parents[1])) == 2, where.stdout + where.stderr
    shown = run(installed, "-c", "from rtms_simulator.cli import main; main()", "scenarios", "show", "stand-up", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    source = run(installed, "-c", "from rtms_simulator.kit.functions import source; print(source())", cwd=tmp_path)
    assert source.stdout.strip().endswith("site-packages/rtmskit_function/main.py"), source.stderr


def test_its_pytest_plugin_gives_people_a_world(installed, tmp_path):
    page = (ROOT / "docs/test-your-receiver.md").read_text()
    (tmp_path / "test_receiver.py").write_text(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0])
    done = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error", str(tmp_path), cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
