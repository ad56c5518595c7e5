"""docs/cloud-tasks-coverage.md says what the code does: every call, switch, default, fault and header."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import pytest

from rtms_simulator.cloud_tasks import Switches
from rtms_simulator.cloud_tasks.dispatch import Attempt, Dispatch
from rtms_simulator.cloud_tasks.messages import task_message
from rtms_simulator.cloud_tasks.server import RPCS

PAGE = (Path(__file__).parents[2] / "docs" / "cloud-tasks-coverage.md").read_text()


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


def test_the_calls_are_exactly_those_that_are_served() -> None:
    named = [call for row in rows("Calls") for call in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(RPCS)


def test_the_switches_are_all_there_with_their_defaults() -> None:
    defaults = {f"`{switch.name}`": str(switch.default) for switch in dataclasses.fields(Switches)}
    assert {row[0]: row[1] for row in rows("Switches")} == defaults


@pytest.mark.parametrize(
    "name", ["dedup_s", "queue_tombstone_s", "attempts_end_unlimited_duration", "system_throttling", "heed_retry_after"]
)
def test_what_is_inferred_is_labelled_in_code_and_page_alike(name: str) -> None:
    (row,) = (row for row in rows("Switches") if row[0] == f"`{name}`")
    # Python 3.13 takes the indentation out of docstrings itself: getdoc() is the same everywhere.
    entry = (inspect.getdoc(Switches) or "").split(f"- `{name}`")[1].split("\n- ")[0]
    assert ("[inf]" in row[2]) == ("[inf]" in entry)


def test_every_header_that_is_sent_is_named() -> None:
    from google.cloud import tasks_v2

    task, _ = task_message("projects/p/locations/l/queues/q", tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http://worker.test")), 0)
    task.name = "projects/p/locations/l/queues/q/tasks/t"
    sent = Dispatch(task, 0, 0, [Attempt(1, 0, 0, 1, status=500)], 600).headers()
    assert {name for name in sent if name.startswith("X-CloudTasks-")} <= set(re.findall(r"X-CloudTasks-\w+", PAGE))
    assert f"User-Agent: {sent['User-Agent']}" in PAGE
