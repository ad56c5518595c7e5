"""The frame of the command line: quick, complete, and every end has its code."""

import asyncio
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rtms_simulator import cli as frame
from rtms_simulator.cli import COMMANDS, cli
from rtms_simulator.cli.play import outcome

RTMSKIT = [sys.executable, "-c", "from rtms_simulator.cli import main; main()"]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_row_names_a_command_and_says_what_the_command_says(name):
    command = cli.get_command(click.Context(cli), name)
    assert isinstance(command, click.Command)
    assert (command.help or "").split("\n\n")[0].replace("\n", " ") == COMMANDS[name].summary


@pytest.mark.parametrize("name", [[], *([name] for name in COMMANDS)], ids=str)
def test_help_works_everywhere(name):
    done = CliRunner().invoke(cli, [*name, "--help"])
    assert done.exit_code == 0
    assert "Usage: " in done.output


def test_help_is_quick():
    """Under 150 ms of processor time, or twice a bare interpreter with click: the least of five, so that other work does not count."""

    def cpu_s(argv):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare, ours = [], []
    for _ in range(5):
        bare.append(cpu_s([sys.executable, "-c", "import click"]))
        ours.append(cpu_s([*RTMSKIT, "--help"]))
    assert min(ours) < max(0.150, 2 * min(bare)), f"--help took {min(ours):.3f} s, a bare interpreter with click {min(bare):.3f} s"


@pytest.mark.parametrize(("set_to", "then"), [(None, "ERROR"), ("DEBUG", "DEBUG")])
def test_grpc_notes_no_closed_connections_unless_it_is_asked_to(set_to, then):
    script = (
        "import atexit, os\nfrom rtms_simulator.cli import main\n"
        "atexit.register(lambda: print(os.environ['GRPC_VERBOSITY']))\nmain(['--version'])"
    )
    inherited = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    environment = inherited | ({"GRPC_VERBOSITY": set_to} if set_to else {})
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.split()[-1] == then


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from rtms_simulator.cli import cli\n"
        "cli.main(['--help'], standalone_mode=False)\n"
        "print(*sorted(name.partition('.')[0] for name in sys.modules), file=sys.stderr)"
    )
    loaded = set(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stderr.split())
    assert not loaded & {"rich", "httpx", "starlette", "uvicorn", "websockets", "grpc", "av", "numpy", "asyncio"}


def run(argv, **kwargs):
    return subprocess.run([*RTMSKIT, *argv], capture_output=True, text=True, check=False, **kwargs)


def test_an_unknown_command_is_a_usage_error():
    done = run(["nonsense"])
    assert done.returncode == 2
    assert "nonsense" in done.stderr


def test_no_traceback_for_a_bug_unless_asked_for(monkeypatch):
    script = (
        "from rtms_simulator import cli\n"
        "cli.cli.get_command = lambda *a: 1 / 0\n"
        "cli.main(['demo'])"
    )  # fmt: skip
    argv = [sys.executable, "-c", script]
    quiet = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "RTMSKIT_DEBUG": ""})
    assert quiet.returncode == 1
    assert "this is a bug in rtmskit (ZeroDivisionError at <string>:2" in quiet.stderr
    assert "Traceback" not in quiet.stderr
    loud = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "RTMSKIT_DEBUG": "1"})
    assert "Traceback" in loud.stderr


def test_a_reader_that_goes_away_is_no_error():
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        done = subprocess.run([*RTMSKIT, "scenarios", "list"], stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


def test_each_kind_of_end_has_its_code_and_says_what_to_do(capsys):
    for kind, code in ((outcome.Failed, 1), (outcome.BadInput, 2), (outcome.Nobody, 3)):
        error = kind("it broke", "mend it.")
        assert error.exit_code == code
        error.show()
        assert capsys.readouterr().err == "Error: it broke\nDo: mend it.\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_in_order_and_gives_its_code(number):
    cleaned = threading.Event()

    async def work():
        try:
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), number)
            await asyncio.sleep(30)
        finally:
            cleaned.set()

    with pytest.raises(click.exceptions.Exit) as caught:
        outcome.run(work())
    assert caught.value.exit_code == 128 + number
    assert cleaned.is_set()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_signal_is_not_lost_while_the_loop_is_made_or_taken_down(monkeypatch, capsys, moment):
    whole = asyncio.run

    def interrupted(work):
        if moment == "before":
            os.kill(os.getpid(), signal.SIGINT)
            return whole(work)
        result = whole(work)
        os.kill(os.getpid(), signal.SIGINT)
        return result

    async def work():
        return 1

    monkeypatch.setattr(outcome.asyncio, "run", interrupted)
    with pytest.raises(click.exceptions.Exit) as caught:
        outcome.run(work())
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "SIGINT: stopping.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_is_not_lost_when_the_work_ends_before_the_loop_looks(capsys):
    """A command may run one piece of work after another: each is to know that Ctrl-C came in the one before."""

    async def work():
        os.kill(os.getpid(), signal.SIGINT)
        return 1

    with pytest.raises(click.exceptions.Exit) as caught:
        outcome.run(work())
    assert caught.value.exit_code == 130
    assert capsys.readouterr().err == "SIGINT: stopping.\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_is_told_once_though_the_work_takes_its_time_to_end(capsys):
    async def work():
        asyncio.get_running_loop().call_soon(os.kill, os.getpid(), signal.SIGTERM)
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)
        return 1

    with pytest.raises(click.exceptions.Exit) as caught:
        outcome.run(work())
    assert caught.value.exit_code == 143
    assert capsys.readouterr().err == "SIGTERM: stopping.\n"


def test_a_second_signal_ends_the_process_at_once():
    program = (
        "import asyncio, os, signal\n"
        "from rtms_simulator.cli.play import outcome\n"
        "async def work():\n"
        "    asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGTERM)\n"
        "    try:\n"
        "        await asyncio.sleep(30)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        await asyncio.sleep(30)\n"
        "outcome.run(work())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "SIGTERM: stopping.\n")


def test_what_the_work_raises_comes_through():
    async def work():
        raise outcome.Failed("no")

    with pytest.raises(outcome.Failed):
        outcome.run(work())


def test_interrupted_outside_the_loop(monkeypatch, capsys):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(frame.cli, "main", interrupted)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    with pytest.raises(SystemExit) as caught:
        frame.main([])
    assert caught.value.code == 130
    assert "Interrupted" in capsys.readouterr().err


def test_no_command_file_is_without_a_row():
    """A module that is not in the table is shared code, and none of those defines a command."""
    folder = Path(frame.__file__).parent
    listed = {row.target.partition(":")[0] for row in COMMANDS.values()} | {frame.__name__}
    defining = set()
    for file in folder.rglob("*.py"):
        module = ".".join([frame.__name__, *file.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__")
        if re.search(r"^@click\.(command|group)\b", file.read_text(), re.MULTILINE):
            defining.add(module)
    assert defining == listed
