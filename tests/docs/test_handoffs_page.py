"""docs/handoffs.md: every question of an operator has one command, and each of them runs, against an `up` with a meeting in it."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from pathlib import Path

import pytest
from tests.docs.test_serve_page import Shell
from tests.e2e.serving import until

PAGE = Path(__file__).parents[2] / "docs/handoffs.md"
QUESTIONS = re.findall(r"^\| (.+) \| `(rtmskit .+)` \|$", PAGE.read_text(), re.MULTILINE)

SHOWN = {
    'find "$MEETING"': "It means:",
    'find "$STREAM"': "It means:",
    'find "$MDC"': "It means:",
    'show "$ID"': "Zoom began the stream",
    'show "$ID" --json': '"window_ends_at"',
    "list --since 1d": "accepted",
    "list --state failed": "No hand-off is like that.",
    'list --reason "out of credit"': "No hand-off is like that.",
    'list --meeting "$MEETING"': "done",
    'download "$MEETING" -o talk.mp4': "sha256",
    'retry "$ID"': "looked again",
}
"""What the answer must have in it, by the end of the command."""


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Generator[Shell]:
    one = Shell(tmp_path_factory.mktemp("operator"))
    try:
        one.run("rtmskit up --seed 11 &")
        one.run("rtmskit meeting play --speed max")
        done = "rtmskit handoffs list --recording done --json"
        [row] = until(lambda: json.loads(one.run(done))["handoffs"], "the meeting is recorded", 180)
        one.told |= {"MEETING": row["entity_id"], "STREAM": row["rtms_stream_id"], "MDC": row["mdc_id"], "ID": row["id"][:8]}
        yield one
    finally:
        one.close()


@pytest.mark.timeout(400)
@pytest.mark.xdist_group("operator")
@pytest.mark.parametrize("command", list(dict.fromkeys(command for _, command in QUESTIONS)))
def test_each_question_is_answered_by_its_command(shell: Shell, command: str) -> None:
    answer = shell.run(command)
    for end, text in SHOWN.items():
        if command.endswith(end):
            assert text in answer


def test_the_questions_of_the_operator_are_all_there() -> None:
    commands = [command for _, command in QUESTIONS]
    assert len(QUESTIONS) >= 15
    assert all(any(command.endswith(end) for command in commands) for end in SHOWN)
    for word in ("list", "show", "find", "retry"):
        assert any(command.startswith(f"rtmskit handoffs {word}") for command in commands)
