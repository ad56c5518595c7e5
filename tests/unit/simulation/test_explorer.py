"""The explorer meets every order: it counts what combinatorics says, and finds the bug that one order in many shows."""

from collections.abc import Hashable
from math import comb

import pytest
from tests.simulation.explorer import Branch, Explorer, Violation
from tests.simulation.world import Event, Instance, pause


class Orders:
    """Two processes that append their letter n times; the fingerprint is the whole order, so nothing is pruned."""

    def __init__(self, branch: Branch, steps: int, seen: set[str]) -> None:
        self.order = ""
        self.seen = seen
        for letter in "ab":
            branch.spawn(letter, self.write(letter, steps), Instance(letter))

    async def write(self, letter: str, steps: int) -> None:
        for _ in range(steps):
            await pause(letter)
            self.order += letter

    def fingerprint(self) -> Hashable:
        return self.order

    def check(self, history: list[Event]) -> None:
        self.seen.add(self.order)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
def test_every_interleaving_is_met_once(steps: int) -> None:
    seen: set[str] = set()
    findings = Explorer(lambda branch: Orders(branch, steps, seen), crashes=0).run()
    assert findings.complete
    assert len(seen) == findings.endings == comb(2 * steps, steps)


class Counter:
    """Read, then write one more: loses an update when two readers overlap; `guarded` writes only what has not changed."""

    def __init__(self, branch: Branch, *, guarded: bool) -> None:
        self.value = 0
        self.done = 0
        self.guarded = guarded
        self.branch = branch
        for name in ("a", "b", "c"):
            branch.spawn(name, self.add(name), Instance(name))

    async def add(self, name: str) -> None:
        while True:
            await pause(f"{name}.read")
            read = self.value
            self.branch.heard(read)
            await pause(f"{name}.write")
            if not self.guarded or self.value == read:
                self.value = read + 1
                self.done += 1
                return

    def fingerprint(self) -> Hashable:
        return (self.value, self.done)

    def check(self, history: list[Event]) -> None:
        assert self.value == self.done, f"lost an update: {self.done} adds made {self.value}"


def test_a_lost_update_is_found_and_its_choices_replay_it() -> None:
    with pytest.raises(Violation) as caught:
        Explorer(lambda branch: Counter(branch, guarded=False), crashes=0).run()
    with pytest.raises(Violation):
        Explorer(lambda branch: Counter(branch, guarded=False), crashes=0).replay(caught.value.choices)


@pytest.mark.parametrize("crashes", [0, 1, 2])
def test_a_guarded_update_holds_under_every_order_and_crash(crashes: int) -> None:
    findings = Explorer(lambda branch: Counter(branch, guarded=True), crashes=crashes).run()
    assert findings.complete
    assert (findings.crashes > 0) == (crashes > 0)


def test_local_steps_are_not_told_apart() -> None:
    """Two processes of five local steps each commute: one order stands for all 252."""
    seen: set[str] = set()
    findings = Explorer(lambda branch: Orders(branch, 5, seen), crashes=0, local=["a", "b"]).run()
    assert findings.complete
    assert findings.endings == 1


def test_the_limit_is_said_to_have_been_met() -> None:
    findings = Explorer(lambda branch: Counter(branch, guarded=True), crashes=2, limit=10).run()
    assert not findings.complete
    assert findings.states <= 30
