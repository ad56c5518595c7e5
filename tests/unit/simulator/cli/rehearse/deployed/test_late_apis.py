"""`rehearse --pulumi up --propagation`: an API that was just enabled refuses, and `up` runs again until it does not."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.automation.errors import CommandError

from rtms_infra.rehearsal.cloud import Cloud
from rtms_simulator.cli.rehearse.deployed import with_pulumi
from rtms_simulator.cli.rehearse.deployed.with_pulumi import NOT_IN_FORCE, TIMES, in_the_end


class Stack:
    """Each `up` makes one more resource, and fails while the cloud's clock is before `from_s`."""

    def __init__(self, cloud: Cloud, from_s: float, said: str) -> None:
        self.cloud, self.from_s, self.said = cloud, from_s, said
        self.steps: list[str] = []
        self.errors: tuple[str, ...] = ()
        self.ups = 0

    def up(self) -> list[str]:
        self.ups += 1
        self.steps = [f"resource-{self.ups}"]
        self.errors = () if self.cloud.now >= self.from_s else (self.said,)
        if self.errors:
            raise CommandError(Result())  # ty: ignore[invalid-argument-type]
        return self.steps


class Result:
    stderr, stdout, code = "", "", 1


@pytest.fixture(autouse=True)
def changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(with_pulumi, "changes", lambda steps: dict.fromkeys(steps, "create"))


def made(from_s: float, said: str, api_delay_s: float = 60.0) -> tuple[Any, Stack]:
    cloud = Cloud(api_delay_s=api_delay_s)
    stack = Stack(cloud, from_s, said)
    return cloud, stack


def test_up_runs_again_while_an_api_is_late_and_says_all_that_it_made() -> None:
    cloud, stack = made(60.0, f"run.googleapis.com {NOT_IN_FORCE} or it is disabled")
    assert in_the_end(stack, cloud) == {"resource-1": "create", "resource-2": "create"}  # ty: ignore[invalid-argument-type]


@pytest.mark.parametrize(("said", "ups"), [(f"run.googleapis.com {NOT_IN_FORCE}", TIMES), ("quota exceeded", 1)])
def test_it_gives_up_after_four_times_and_at_once_for_another_error(said: str, ups: int) -> None:
    cloud, stack = made(1e9, said)
    with pytest.raises(CommandError):
        in_the_end(stack, cloud)  # ty: ignore[invalid-argument-type]
    assert stack.ups == ups
