"""The faults that are armed, and which of them acts now."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from rtms_simulator.errors import FaultError
from rtms_simulator.faults.families import FAMILIES
from rtms_simulator.faults.grammar import FOREVER, OK, Family, Fault, Occasion, Step, did_you_mean, family_of
from rtms_simulator.faults.parser import parse

NO_FAULT = Step(OK)


@dataclass(slots=True)
class ArmedFault:
    """A fault that waits or acts. `step` counts from 0; `left`: how often its present step acts still, `used`: how often any has."""

    id: int
    fault: Fault
    step: int = 0
    left: int = 1
    used: int = 0
    since: float | None = None
    """When a state of a queue began, in seconds of the fakes' clock."""

    @property
    def over(self) -> bool:
        return self.step >= len(self.fault.steps)

    @property
    def present(self) -> Step:
        return self.fault.steps[self.step]

    @property
    def steps_left(self) -> int | None:
        """How often it acts still, `ok` steps included; None: until it is cleared."""
        later = [one.times for one in self.fault.steps[self.step + 1 :]]
        return None if FOREVER in (self.left, *later) else self.left + sum(later)

    @property
    def ends_at(self) -> float | None:
        """When its state ends; None: when it is cleared."""
        seconds = self.present.number("seconds")
        return None if self.since is None or not seconds else self.since + seconds

    def use(self) -> Step:
        step = self.present
        if step.word != OK:
            self.used += 1
        if self.left != FOREVER:
            self.left -= 1
        if self.left == 0:
            self.advance()
        return step

    def advance(self) -> None:
        """Go on to the next step."""
        self.step += 1
        self.since = None
        self.left = 0 if self.over else self.present.times


class FaultBook:
    """Faults in the order in which they were armed.

    `families` says what can be made to fail here; anything else is refused. `known(prefix, names)` narrows the names of a family to
    those that are there (the queues that a Cloud Tasks has).
    """

    def __init__(self, families: Iterable[Family] = FAMILIES, faults: Iterable[Fault] = ()) -> None:
        self.families = tuple(families)
        self._known: dict[str, Callable[[], Collection[str]]] = {}
        self._ids = itertools.count(1)
        self._armed: list[ArmedFault] = []
        self._changed: list[Callable[[], None]] = []
        for fault in faults:
            self.add(fault)

    def known(self, prefix: str, names: Callable[[], Collection[str]]) -> None:
        """Refuse from now on targets of this family that match none of `names()`."""
        self._known[prefix] = names

    def on_change(self, call: Callable[[], None]) -> None:
        """Call this whenever a fault is armed or cleared."""
        self._changed.append(call)

    def add(self, fault: Fault | str) -> ArmedFault:
        """Arm a fault. Raises FaultError for one that cannot act here."""
        fault = self.armable(fault)
        armed = ArmedFault(next(self._ids), fault, left=fault.steps[0].times)
        self._armed.append(armed)
        self._notify()
        return armed

    def armable(self, fault: Fault | str) -> Fault:
        """The fault, which `add` would arm. Raises FaultError for one that it would not."""
        fault = parse(fault, FAMILIES) if isinstance(fault, str) else fault
        self.check(fault)
        if fault.family.occasion is Occasion.MOMENT:
            raise FaultError(f"{fault}: it happens at a moment of one meeting; give it to `meeting play --fault` or write it in a scenario")
        return fault

    def check(self, fault: Fault) -> None:
        """Raises FaultError for a fault of a family, or for a name, that is not here."""
        if family_of(fault.target, self.families) is None:
            here = ", ".join(family.form for family in self.families)
            raise FaultError(f"{fault}: nothing here can do that; there is {here}")
        if fault.family.prefix in self._known:
            names = self._known[fault.family.prefix]()
            pattern = fault.target.removeprefix(f"{fault.family.prefix}.")
            if not any(fnmatchcase(name, pattern) for name in names):
                allowed = f"{did_you_mean(pattern, names)}allowed: {', '.join(sorted(names))}"
                raise FaultError(f"{fault}: there is no {fault.family.name} {pattern!r}; {allowed}")

    def clear(self, id_: int | None = None) -> int:
        """Forget one fault, or all. Returns how many went."""
        before = len(self._armed)
        self._armed = [armed for armed in self._armed if id_ is not None and armed.id != id_]
        self._notify()
        return before - len(self._armed)

    def listed(self) -> tuple[ArmedFault, ...]:
        """Those that are not over, oldest first."""
        return tuple(self._armed)

    def take(self, family: Family, *names: str, words: Collection[str] = ()) -> Step:
        """The step for one occurrence of what has these names, which is used up by this: the oldest fault that matches decides.

        `words` narrows to the steps that can act at this point. `NO_FAULT` if nothing acts.
        """
        for armed in self._matching(family, names, words):
            return self._used(armed)
        return NO_FAULT

    def take_each(self, family: Family, *names: str, words: Collection[str] = ()) -> list[tuple[Fault, Step]]:
        """As `take`, but all that match act together, the oldest of each word; each comes with the fault it belongs to."""
        taken: dict[str, tuple[Fault, Step]] = {}
        for armed in self._matching(family, names, words):
            if armed.present.word not in taken:
                step = self._used(armed)
                taken[step.word] = (armed.fault, step)
        return [both for word, both in taken.items() if word != OK]

    def states(self, family: Family, *names: str, now: float) -> Mapping[str, ArmedFault]:
        """The states in force by their word; the oldest of each. A state begins at the first look; one that has lasted is over."""
        in_force: dict[str, ArmedFault] = {}
        for armed in self._matching(family, names, ()):
            while not armed.over:
                if armed.since is None:
                    armed.since, armed.used = now, armed.used + 1
                ends = armed.ends_at
                if ends is None or now < ends:
                    in_force.setdefault(armed.present.word, armed)
                    break
                armed.advance()
                armed.since, armed.used = (None, armed.used) if armed.over else (ends, armed.used + 1)
        self._drop_over()
        return in_force

    def finish(self, armed: ArmedFault) -> None:
        """End a state before its time."""
        armed.advance()
        self._drop_over()

    def _matching(self, family: Family, names: Iterable[str], words: Collection[str]) -> list[ArmedFault]:
        targets = family.target(*names)
        return [
            armed
            for armed in self._armed
            if armed.fault.family.prefix == family.prefix
            and armed.fault.matches(targets)
            and (not words or armed.present.word in words or armed.present.word == OK)
        ]

    def _used(self, armed: ArmedFault) -> Step:
        step = armed.use()
        self._drop_over()
        return step

    def _drop_over(self) -> None:
        before = len(self._armed)
        self._armed = [armed for armed in self._armed if not armed.over]
        if len(self._armed) != before:
            self._notify()

    def _notify(self) -> None:
        for call in self._changed:
            call()
