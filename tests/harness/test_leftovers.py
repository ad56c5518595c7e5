"""A test that leaves something behind fails itself, and what a session started ends with it, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.leftovers import DESCRIPTORS
from tests.reaper import marked

ROOT = Path(__file__).parents[2]
LOOP = "asyncio_default_fixture_loop_scope=function"
CONFTEST = """
from tests import leftovers
from tests.leftovers import Leftovers
from tests.reaper import Reaper

leftovers.PATIENCE_S = 1.0  # what these tests leave never ends

def pytest_configure(config):
    config.pluginmanager.register(Leftovers())
    config.pluginmanager.register(Reaper())
"""
LEAVES = {
    "task": "import asyncio\nasync def test_it():\n    test_it.task = asyncio.create_task(asyncio.sleep(100))",
    "thread": "import threading\nEND = threading.Event()\ndef test_it():\n    threading.Thread(target=END.wait, daemon=True).start()",
    "process": "import subprocess\nKEPT = []\ndef test_it():\n    KEPT.append(subprocess.Popen(['sleep', '100']))",
    "descriptor": "KEPT = []\ndef test_it():\n    KEPT.append(open(__file__))",
    "socket": "import socket\nKEPT = []\ndef test_it():\n    KEPT.append(socket.socket())",
    "unclosed transport": """
import asyncio
async def test_it():
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        cycle = [await asyncio.open_connection(*server.sockets[0].getsockname())]
        cycle.append(cycle)
""",
}


def write(folder: Path, text: str) -> None:
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_it.py").write_text(text)


def command(folder: Path, *more: str) -> list[str]:
    options = [
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
        "-o",
        "asyncio_mode=auto",
        "-o",
        LOOP,
        "-W",
        "error",
        "--rootdir",
        str(folder),
    ]
    return [sys.executable, "-m", "pytest", "-q", "--rootdir", str(folder), *options, *more, str(folder)]


def run(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command(folder, *more), cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors and children are read from /proc")
@pytest.mark.parametrize("kind", LEAVES)
def test_a_test_that_leaves_something_behind_fails_itself(tmp_path, kind):
    write(tmp_path, f"{LEAVES[kind]}\n\ndef test_the_next():\n    pass\n")
    done = run(tmp_path)
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    assert "ERROR at teardown of test_it" in done.stdout
    assert kind in done.stdout.partition("the test left behind:")[2].partition("short test summary")[0]


def test_what_a_wider_fixture_holds_may_stay(tmp_path):
    write(
        tmp_path,
        "import socket, pytest\n@pytest.fixture(scope='module')\ndef held():\n    with socket.socket() as kept:\n        yield kept\n"
        "def test_it(held):\n    pass\ndef test_the_next(held):\n    pass\n",
    )
    assert "2 passed" in run(tmp_path).stdout


@pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="marks are read from /proc")
@pytest.mark.parametrize("ending", ["time limit", "kill"])
def test_what_a_session_started_ends_with_it(tmp_path, ending):
    write(
        tmp_path,
        "import os, subprocess, time\ndef test_it():\n"
        "    child = subprocess.Popen(['sleep', '100'], start_new_session=True)\n"
        "    open('made', 'w').write(f\"{os.environ['TEST_SESSION']} {child.pid}\")\n    time.sleep(60)\n",
    )
    limit = "2" if ending == "time limit" else "50"
    with subprocess.Popen(
        command(tmp_path, "-o", f"timeout={limit}", "-o", "timeout_method=thread"),
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as session:  # fmt: skip
        made = tmp_path / "made"
        wait_for(lambda: made.exists() and " " in made.read_text())
        mark, child = made.read_text().split()
        if ending == "kill":
            assert list(marked(mark)) == [int(child)]
            session.send_signal(signal.SIGKILL)
        assert session.wait(30) != 0
    wait_for(lambda: not list(marked(mark)))


def wait_for(condition, within_s=20):
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
