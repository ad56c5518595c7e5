"""Commands and values complete in bash, zsh and fish; an unknown command and no command say what to do."""

import os
import pty
import shlex
import stat
import subprocess
import sys
import threading

import pytest
from click.shell_completion import ShellComplete

from rtms_simulator.cli import cli
from rtms_simulator.cli.bash_completion import last_word
from rtms_simulator.cli.completion import ARTIFACTS, SHELLS
from rtms_simulator.faults.reference import rows
from rtms_simulator.kit.control.defaults import default_switches
from rtms_simulator.scenario import names
from rtms_simulator.zoom.webhooks.events import EVENTS

CASES = [
    ([], "me", "meeting"),
    (["meeting", "play"], "stand", "stand-up"),
    (["scenarios", "show"], "one-", "one-to-one"),
    (["demo", "--scenario"], "rev", "revoked"),
    (["send"], "meeting.rtms_sta", "meeting.rtms_started"),
    (["faults", "add"], "tasks.queue.*: st", "tasks.queue.*: stall"),
    (["faults", "add"], "recall.create:", "recall.create: slow"),
    (["up", "--fault"], "recall.create: 503 x2 then h", "recall.create: 503 x2 then hang"),
    (["demo", "--fault"], "recall.create: slow se", "recall.create: slow seconds="),
    (["demo", "--set"], "recall.def", "recall.defaults="),
    (["meeting", "play", "--fault"], "zoom.stream: fail", "zoom.stream: fail-over"),
    (["meeting", "play", "--set"], "zoom.close", "zoom.close_code="),
    (["switches", "set"], "recall.page", "recall.page_size="),
    (["switches", "list"], "re", "recall"),
    (["recordings", "download", "x", "--artifact"], "video", "video_mixed"),
]


@pytest.mark.parametrize(("words", "incomplete", "value"), CASES, ids=[case[2] for case in CASES])
def test_a_value_is_completed(words, incomplete, value):
    found = ShellComplete(cli, {}, "rtmskit", "_RTMSKIT_COMPLETE").get_completions(words, incomplete)
    assert value in [item.value for item in found]
    assert all(item.value.startswith(incomplete) for item in found)


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_of_a_shell_calls_us_back(rtmskit, shell):
    done = rtmskit("completion", shell)
    assert done.exit_code == 0
    assert "_RTMSKIT_COMPLETE" in done.stdout


VALUES = {
    ("scenarios", "show"): set(names()),
    ("send",): set(EVENTS),
    ("faults", "add"): {row.example for row in rows()},
    ("switches", "set"): {f"{row.name}=" for row in default_switches()},
    ("recordings", "download", "x", "--artifact"): set(ARTIFACTS),
}
"""Words of a command line after which the value of one kind stands, and all its values."""


def completed(shell: str, words: list[str], incomplete: str) -> list[str]:
    """What the shell is answered: as its script calls us, with the words as a person types them (quoted, the last quote still open)."""
    typed = shlex.join(["rtmskit", *words])
    token = f'"{incomplete}' if " " in incomplete else incomplete
    environment = {"_RTMSKIT_COMPLETE": f"{shell}_complete", "PATH": ""}
    if shell == "bash":
        environment |= {"COMP_LINE": f"{typed} {token}", "COMP_WORDBREAKS": " \t\n\"'><=;|&(:"}
    else:
        environment |= {"COMP_WORDS": f"{typed} {token}", "COMP_CWORD": token if shell == "fish" else str(len(words) + 1)}
    code = "import sys; sys.argv = ['rtmskit']; from rtms_simulator.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    if shell == "zsh":
        assert set(lines[::3]) <= {"plain"}
        assert set(lines[2::3]) <= {"_"}, "values with a description must have their colons escaped"
        return lines[1::3]
    assert all(line.startswith("plain,") for line in lines)
    return [line.removeprefix("plain,") for line in lines]


@pytest.mark.parametrize("words", VALUES, ids=" ".join)
@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_every_value_of_a_kind_is_completed_as_the_shell_asks(shell, words):
    assert set(completed(shell, list(words), "")) == VALUES[words]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_fault_with_blanks_is_completed_within_its_quotes(shell):
    assert completed(shell, ["faults", "add"], "recall.create: sl") == ["recall.create: slow"]
    assert completed(shell, ["up", "--fault"], "recall.create: slow sec") == ["recall.create: slow seconds="]


TYPED = [
    ("scenarios show two-a", ["scenarios", "show", "two-apps"]),
    ("send meeting.rtms_sta", ["send", "meeting.rtms_started"]),
    ('faults add "recall.create: sl', ["faults", "add", "recall.create: slow"]),
    ("faults add 'tasks.queue.handoffs: sta", ["faults", "add", "tasks.queue.handoffs: stall"]),
    ("faults add recall.create:\\ sl", ["faults", "add", "recall.create: slow"]),
    ("faults add recall.create:\\ slow\\ sec\t5s", ["faults", "add", "recall.create: slow seconds=5s"]),
    ('up --fault "recall.create: 503 x2 then ha', ["up", "--fault", "recall.create: 503 x2 then hang"]),
    ("up --fault=tasks.queue.handoffs:\\ sta", ["up", "--fault=tasks.queue.handoffs: stall"]),
    ("faults add tasks.queue.\\*:\\ sta", ["faults", "add", "tasks.queue.*: stall"]),
    ("switches set zoom.close_c\t1001", ["switches", "set", "zoom.close_code=1001"]),
    ("up --set=zoom.close_c\t1001", ["up", "--set=zoom.close_code=1001"]),
    ("recordings download x --artifact transc", ["recordings", "download", "x", "--artifact", "transcript"]),
    ("meeting play --media mine.m", ["meeting", "play", "--media", "mine.mp4"]),
]
"""What is typed before a tab (and between one and the end, if there are two parts), and the arguments that the command then gets."""


def test_the_whole_way_in_bash(tmp_path):
    """An interactive bash with its own line editor: keys in, the arguments of the commands out."""
    code = "import sys; sys.argv = ['rtmskit']; from rtms_simulator.cli import main; main()"
    program = tmp_path / "bin/rtmskit"
    program.parent.mkdir()
    asked = f'if [ -n "$_RTMSKIT_COMPLETE" ]; then exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}; fi'
    program.write_text(f"#!/bin/sh\n{asked}\nprintf '%s|' \"$@\" >>{tmp_path}/given\necho >>{tmp_path}/given\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "mine.mp4").touch()
    keys = ['eval "$(_RTMSKIT_COMPLETE=bash_source rtmskit)"']
    keys += [f"rtmskit {typed}" if "\t" in typed else f"rtmskit {typed}\t" for typed, _ in TYPED]
    bash(tmp_path, "".join(f"{line}\n" for line in keys))
    given = [line.removesuffix("|").split("|") for line in (tmp_path / "given").read_text().splitlines()]
    assert given == [arguments for _, arguments in TYPED]


@pytest.mark.parametrize(
    ("line", "begin", "replaced", "quote"),
    [
        ("rtmskit ", 8, 8, ""),
        ("rtmskit a", 8, 8, ""),
        ('rtmskit "a b', 8, 9, '"'),
        ('rtmskit "a \\"', 8, 9, '"'),
        ("rtmskit 'a' b:c", 12, 14, ""),
        ("rtmskit a\\ b\\:c", 8, 8, ""),
        ("rtmskit --x='a:b", 8, 13, "'"),
    ],
)
def test_where_the_last_word_begins_and_what_bash_replaces_of_it(line, begin, replaced, quote):
    assert last_word(line, " \t\n\"'@><=;|&(:") == (begin, replaced, quote)


def bash(folder, keys: str) -> None:
    """Run an interactive bash in this folder, type these keys, and leave it."""
    ours, its = pty.openpty()
    environment = {
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "TERM": "dumb",
        "INPUTRC": "/dev/null",
        "HISTFILE": "",
        "LC_ALL": "C.UTF-8",
    }
    command = ["bash", "--norc", "--noprofile", "-i"]
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, cwd=folder, env=environment, start_new_session=True)
    os.close(its)
    screen = threading.Thread(target=read_all, args=(ours,))
    screen.start()
    os.write(ours, f"{keys}exit\n".encode())
    try:
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        screen.join()
        os.close(ours)


def read_all(terminal: int) -> None:
    """Take what is shown off the terminal until its other end is closed."""
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        pass


def test_a_slip_in_a_command_says_which_was_meant(rtmskit):
    for slip, meant in (("upp", "rtmskit up"), ("recording", "rtmskit recordings")):
        done = rtmskit(slip)
        assert (done.exit_code, f"did you mean `{meant}`?" in done.stderr) == (2, True)
    done = rtmskit("zzz")
    assert (done.exit_code, "`rtmskit --help` lists the commands" in done.stderr) == (2, True)


def test_no_command_shows_the_help(rtmskit):
    done = rtmskit()
    assert (done.exit_code, "Commands:" in done.stdout) == (0, True)


def test_a_request_that_is_only_shown_needs_no_receiver(rtmskit):
    done = rtmskit("send", "meeting.rtms_started", "--dry-run", "--secret-token", "s")
    assert done.exit_code == 0, done.output
    assert "POST https://receiver.example/zoom-webhook" in done.stdout
