"""The list of planted bugs fits today's source, and its runner tells a killed bug from one that lives."""

from __future__ import annotations

import pytest

from tests.planted.bugs import BUGS, UNIT, Bug
from tests.planted.runner import problem, run


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_the_bug_can_be_planted_and_its_test_is_there(bug: Bug) -> None:
    assert problem(bug) is None


def test_there_are_forty_and_no_two_alike() -> None:
    assert len(BUGS) >= 40
    assert len({bug.name for bug in BUGS}) == len({(bug.file, bug.source, bug.instead) for bug in BUGS}) == len(BUGS)
    assert all(bug.source != bug.instead for bug in BUGS)


def test_the_runner_tells_a_killed_bug_from_one_that_lives() -> None:
    killed = next(bug for bug in BUGS if bug.name == "an expired token counts")
    assert run(killed, killed.test).killed
    lives = Bug("none", killed.file, killed.source, killed.source, killed.test)
    assert not run(lives, lives.test).killed
    assert not run(lives, f"{UNIT}/test_callers.py::test_that_is_not_there").killed
