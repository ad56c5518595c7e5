"""docs/cloud-tasks-coverage.md says what the code does: every call, and header."""

from __future__ import annotations

import re
from pathlib import Path

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


def test_every_header_that_is_sent_is_named() -> None:
    from google.cloud import tasks_v2

    task, _ = task_message("projects/p/locations/l/queues/q", tasks_v2.Task(http_request=tasks_v2.HttpRequest(url="http://worker.test")), 0)
    task.name = "projects/p/locations/l/queues/q/tasks/t"
    sent = Dispatch(task, 0, 0, [Attempt(1, 0, 0, 1, status=500)], 600).headers()
    assert {name for name in sent if name.startswith("X-CloudTasks-")} <= set(re.findall(r"X-CloudTasks-\w+", PAGE))
    assert f"User-Agent: {sent['User-Agent']}" in PAGE
