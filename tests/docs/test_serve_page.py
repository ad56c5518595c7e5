"""From an empty folder, with only the README, to the first meeting through `rtmskit serve`: at most six commands, executed."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.e2e.processes import alive, descendants, environment
from tests.e2e.serving import free_port, until

ROOT = Path(__file__).parents[2]
README, PAGE = ROOT / "README.md", ROOT / "docs/serve.md"


def block(page: Path) -> list[str]:
    """The commands of the one block that begins with an install and starts `serve` beside an `up`."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    [found] = [text for text in blocks if "up --no-function" in text and "rtmskit serve &" in text]
    return found.splitlines()


def test_both_pages_say_the_same_in_at_most_six_commands() -> None:
    assert block(README) == block(PAGE)
    assert len(block(README)) <= 6


def test_what_is_installed_is_there_to_be_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for page in (README, PAGE):
        for line in page.read_text().splitlines():
            if line.startswith("pip install 'rtmskit["):
                name, _, extras = shlex.split(line)[2].rstrip("]").partition("[")
                assert name == project["name"]
                assert set(extras.split(",")) <= set(project["optional-dependencies"])


@pytest.fixture
def folder(tmp_path: Path) -> Generator[Path]:
    """An empty one. What was left running in the background ends with it."""
    yield tmp_path
    for name in ("serve", "up"):
        file = tmp_path / f".rtmskit/{name}.json"
        if file.exists():
            pid = json.loads(file.read_text())["pid"]
            below = {pid} | descendants(pid)
            os.kill(pid, signal.SIGTERM)
            for left in alive(below, within_s=30):
                os.kill(left, signal.SIGKILL)


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("serve page")
def test_the_commands_lead_to_a_recording(folder: Path) -> None:
    port = str(free_port())
    program = folder / "bin"
    program.mkdir()
    (program / "rtmskit").write_text(f"#!{sys.executable}\nfrom rtms_simulator.cli import main\nmain()\n")
    (program / "rtmskit").chmod(0o755)
    told = environment(PATH=f"{program}{os.pathsep}{os.environ['PATH']}", RTMSKIT_SERVE_PORT=port)
    shown = ""
    [install, *commands] = block(README)
    assert install.startswith("pip install ")
    for line in commands:
        behind = line.endswith("&")
        command = ["bash", "-c", line.removesuffix("&").replace("8080", port).strip()]
        if behind:
            log = (folder / f"{len(shown)}{line.split()[1]}.log").open("w")
            with log:
                subprocess.Popen(["bash", "-c", f"exec {command[2]}"], cwd=folder, env=told, stdout=log, stderr=log, start_new_session=True)
            file = folder / f".rtmskit/{line.split()[1]}.json"
            until(file.exists, f"`{line}` answers", 120)
        else:
            done = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, timeout=180, check=False)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            shown = done.stdout
    assert "accepted" in shown
