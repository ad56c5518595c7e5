"""Commands and values complete in bash, zsh and fish; an unknown command and no command say what to do."""

import subprocess
import sys

import pytest
from click.shell_completion import ShellComplete

from rtms_simulator.cli import cli
from rtms_simulator.cli.completion import SHELLS

CASES = [
    ([], "me", "meeting"),
    (["meeting", "play"], "stand", "stand-up"),
    (["scenarios", "show"], "one-", "one-to-one"),
    (["demo", "--scenario"], "rev", "revoked"),
    (["send"], "meeting.rtms_sta", "meeting.rtms_started"),
    (["faults", "add"], "tasks.queue.*: st", "tasks.queue.*: stall"),
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


def test_the_whole_way_in_bash():
    code = "import sys; sys.argv = ['rtmskit']; from rtms_simulator.cli import main; main()"
    environment = {"_RTMSKIT_COMPLETE": "bash_complete", "COMP_WORDS": "rtmskit scenarios show two", "COMP_CWORD": "3", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert "plain,two-apps" in done.stdout, done.stderr


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
