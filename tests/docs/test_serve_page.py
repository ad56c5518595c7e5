"""From an empty folder, with only the README, to the first meeting through `rtmskit serve`: at most five commands, executed."""

from __future__ import annotations

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
from tests.e2e.serving import until
from tests.free_port import free_port

ROOT = Path(__file__).parents[2]
README, PAGE = ROOT / "README.md", ROOT / "docs/serve.md"


def terminals(page: Path) -> list[list[str]]:
    """The commands of each of the three terminals, in order: `up`, then `serve` beside it, then a meeting."""
    blocks = [text.splitlines() for text in re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)]
    [second] = [index for index, lines in enumerate(blocks) if lines[0] == "rtmskit serve --init" and "rtmskit serve" in lines]
    return blocks[second - 1 : second + 2]


def test_both_pages_say_the_same_in_at_most_five_commands() -> None:
    assert terminals(README) == terminals(PAGE)
    assert sum(map(len, terminals(README))) <= 5


@pytest.mark.parametrize("page", [README, PAGE], ids=["README", "serve"])
def test_what_keeps_running_is_the_last_command_of_its_terminal(page: Path) -> None:
    assert [[keeps_running(line) for line in lines] for lines in terminals(page)] == [[True], [False, True], [False, False]]


@pytest.mark.parametrize("page", [README, PAGE], ids=["README", "serve"])
def test_what_is_installed_is_there_to_be_installed(page: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = {shlex.split(line)[2] for line in page.read_text().splitlines() if line.startswith("pip install 'rtmskit[")}
    extras = {extra for text in asked for extra in text.removeprefix("rtmskit[").removesuffix("]").split(",")}
    assert {"simulator"} <= extras <= set(project["optional-dependencies"])


def keeps_running(line: str) -> bool:
    return line.split()[1] in ("up", "serve") and "--init" not in line


class Shell:
    """A folder, and the programs that were started in its background."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._behind: list[subprocess.Popen[bytes]] = []
        program = folder / "bin"
        program.mkdir()
        (program / "rtmskit").write_text(f"#!{sys.executable}\nfrom rtms_simulator.cli import main\nmain()\n")
        (program / "rtmskit").chmod(0o755)
        self.port = str(free_port())
        self.told = environment(PATH=f"{program}{os.pathsep}{os.environ['PATH']}", RTMSKIT_SERVE_PORT=self.port)

    def run(self, line: str) -> str:
        """What a line of the page prints, with a free port in place of 8080. One that keeps running is left to run once it can be found."""
        command = line.replace("8080", self.port)
        if not keeps_running(line):
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.folder, env=self.told, capture_output=True, text=True, timeout=180, check=False
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
            return done.stdout
        name = line.split()[1]
        with (self.folder / f"{name}.log").open("w") as log:
            behind = ["bash", "-c", f"exec {command}"]
            self._behind.append(subprocess.Popen(behind, cwd=self.folder, env=self.told, stdout=log, stderr=log, start_new_session=True))
        until((self.folder / f".rtmskit/{name}.json").exists, f"`{line}` answers", 120)
        return ""

    def close(self) -> None:
        for process in reversed(self._behind):
            below = descendants(process.pid)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(60)
            finally:
                process.kill()
                process.wait()
                for left in alive(below):
                    os.kill(left, signal.SIGKILL)


@pytest.fixture
def shell(tmp_path: Path) -> Generator[Shell]:
    one = Shell(tmp_path)
    yield one
    one.close()


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("serve page")
def test_the_commands_lead_to_a_recording(shell: Shell) -> None:
    shown = [shell.run(line) for lines in terminals(README) for line in lines]
    assert "accepted" in shown[-1]
