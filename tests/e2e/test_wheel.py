"""The built wheel, outside the checkout: it carries everything, its command starts, its pytest plugin works."""

import email
import importlib.metadata
import os
import re
import socket
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from rtms_simulator.cli import COMMANDS

# One worker for this file: what all its tests share is made once.
pytestmark = pytest.mark.xdist_group("wheel")

ROOT = Path(__file__).parents[2]
PACKAGES = ("rtms_relay", "rtms_simulator", "rtms_infra")
RTMSKIT = ("-c", "from rtms_simulator.cli import main; main()")


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


@pytest.fixture(scope="module")
def plain(wheel, tmp_path_factory) -> Path:
    """What `pip install rtmskit` gives: the wheel and what it asks for without an extra, linked from our own environment."""
    folder = tmp_path_factory.mktemp("plain")
    venv.create(folder, with_pip=False)
    packages = next(folder.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    [rtmskit] = importlib.metadata.distributions(path=[str(packages)])
    for name in needed(rtmskit):
        for file in importlib.metadata.files(name) or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                place = packages / file
                place.parent.mkdir(parents=True, exist_ok=True)
                if not place.exists():
                    place.symlink_to(file.locate())
    return folder / "bin/python"


def needed(distribution: importlib.metadata.Distribution) -> set[str]:
    """The names of all that a distribution needs without an extra, and what that needs with the extras it is asked for with."""
    names: set[str] = set()
    waiting = [(distribution, "")]
    done: set[tuple[str, str]] = set()
    while waiting:
        one, extra = waiting.pop()
        for line in one.requires or []:
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            for wanted in {"", *requirement.extras}:
                if (requirement.name, wanted) not in done:
                    done.add((requirement.name, wanted))
                    names.add(requirement.name)
                    waiting.append((importlib.metadata.distribution(requirement.name), wanted))
    return names


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
    assert "rtmskit_project/function/main.py" in packed
    assert {f"{package}/py.typed" for package in PACKAGES} <= packed
    unnamed = {name.partition("/")[0] for name in packed} - {*PACKAGES, "rtmskit_project"}
    assert [name.endswith(".dist-info") for name in unnamed] == [True]


def test_it_says_whose_it_is_and_that_anybody_may_use_it(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        told = email.message_from_bytes(archive.read(metadata))
        licence = archive.read(metadata.replace("METADATA", "licenses/LICENSE"))
    assert told["License-Expression"] == "Apache-2.0"
    assert told["Author"] == "The rtmskit authors"
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert b"Apache License" in licence
    assert set(told.get_all("Provides-Extra") or []) == {"simulator", "tunnel", "infra", "test"}


def test_its_code_is_used_and_its_command_starts(installed, tmp_path):
    where = run(installed, "-c", "import rtms_simulator, rtms_relay; print(rtms_simulator.__file__, rtms_relay.__file__)", cwd=tmp_path)
    assert where.stdout.count(str(installed.parents[1])) == 2, where.stdout + where.stderr
    shown = run(installed, "-c", "from rtms_simulator.cli import main; main()", "scenarios", "show", "stand-up", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    source = run(installed, "-c", "from rtms_simulator.kit.functions import source; print(source())", cwd=tmp_path)
    assert source.stdout.strip().endswith("site-packages/rtmskit_project/function/main.py"), source.stderr


def test_alone_it_runs_what_needs_no_media(plain, tmp_path):
    assert run(plain, *RTMSKIT, "--help", cwd=tmp_path).returncode == 0
    for name in ("doctor", "zoom-app", "recordings", "send", "infra"):
        assert COMMANDS[name].extra == ""
        shown = run(plain, *RTMSKIT, name, "--help", cwd=tmp_path)
        assert (shown.returncode, shown.stderr) == (0, "")
    application = run(plain, *RTMSKIT, "zoom-app", "--json", cwd=tmp_path)
    assert application.returncode == 0, application.stderr
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
        for arguments in (
            ("send", "meeting.rtms_started", "--webhook", nobody, "--secret-token", "s"),
            ("doctor", nobody, "--secret-token", "s"),
            ("recordings", "list", "--worker", nobody),
        ):
            refused = run(plain, *RTMSKIT, *arguments, cwd=tmp_path)
            assert (refused.returncode, "bug in rtmskit" in refused.stderr) == (3, False), refused.stdout + refused.stderr


@pytest.mark.parametrize("name", [name for name, row in COMMANDS.items() if row.extra])
def test_alone_it_names_the_extra_that_a_command_needs(plain, tmp_path, name):
    refused = run(plain, *RTMSKIT, name, "--help", cwd=tmp_path)
    assert refused.returncode == 2
    assert f"`rtmskit {name}` needs the extra `simulator` (not installed: av, " in refused.stderr
    assert refused.stderr.splitlines()[-1] == "Do: pip install 'rtmskit[simulator]'"


def test_it_writes_the_whole_pulumi_project(plain, tmp_path):
    made = run(plain, *RTMSKIT, "infra", "init", str(tmp_path / "project"), cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    listed = subprocess.run(["git", "ls-files", "Pulumi.yaml", "infra", "function"], cwd=ROOT, capture_output=True, text=True, check=True)
    written = {str(path.relative_to(tmp_path / "project")) for path in (tmp_path / "project").rglob("*") if path.is_file()}
    assert written == set(listed.stdout.splitlines())
    assert [name for name in written if (tmp_path / "project" / name).read_bytes() != (ROOT / name).read_bytes()] == []


def test_a_type_checker_sees_its_types(installed, tmp_path):
    (tmp_path / "probe.py").write_text(
        "import rtms_infra.keys, rtms_relay.settings, rtms_simulator.clock, rtms_simulator.zoom\n"
        "reveal_type(rtms_infra.keys.KEYS)\nreveal_type(rtms_relay.settings.load)\n"
        "reveal_type(rtms_simulator.clock.Clock().now())\nreveal_type(rtms_simulator.zoom.ZoomApp)\n"
    )
    command = ("-m", "mypy", "--python-executable", str(installed), "--cache-dir", str(tmp_path / "cache"), "--follow-imports=silent")
    checked = run(Path(sys.executable), *command, "probe.py", cwd=tmp_path)
    revealed = re.findall(r'Revealed type is "(.*)"', checked.stdout)
    assert len(revealed) == 4, checked.stdout + checked.stderr
    assert not any(re.search(r"\bAny\b", line) for line in revealed), revealed
    assert "error:" not in checked.stdout


def test_its_pytest_plugin_gives_people_a_world(installed, tmp_path):
    page = (ROOT / "docs/test-your-receiver.md").read_text()
    (tmp_path / "test_receiver.py").write_text(re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[0])
    done = run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error", str(tmp_path), cwd=tmp_path)
    assert "1 passed" in done.stdout, done.stdout + done.stderr
