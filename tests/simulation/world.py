"""A world in one thread on a virtual clock, in which nothing happens but by choice.

Ordinary coroutines run in it, as *processes* of *instances* (an instance is what a crash takes down). Whatever they await
ends in a `Trap` of this module, so the world owns every await: it decides when a process goes on, and may crash its instance
instead. Nothing here reads the real time or draws a random number of its own, so one seed is one run, event by event.

Two drivers share these rules:

`World`     draws delays and crashes from a seeded `random.Random`: long, varied runs.
`Explorer`  (explorer.py) tries **every** order of steps and every place for a bounded number of crashes and faults.

Time is in milliseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from random import Random
from typing import Any, Protocol

Delay = tuple[float, float]
"""Shortest and longest delay in ms; the draw is skewed towards the short end, as latencies are."""


class Trap:
    """What a process awaits: a point where the world decides what happens next. `label` names it in stories and fault tables.

    `any_of`: goes on once one of these processes has ended.
    """

    __slots__ = ("any_of", "delay_ms", "label", "process")

    def __init__(self, label: str, delay_ms: float | None = None, process: Process | None = None, any_of: tuple[Process, ...] = ()) -> None:
        self.label = label
        self.delay_ms = delay_ms
        self.process = process
        self.any_of = any_of

    def __await__(self) -> Generator[Trap, Any, Any]:
        return (yield self)


class Crashed(Exception):
    """What somebody who waits for a process sees when the process's instance went down."""


class Instance:
    """Something that can be killed as a whole: its processes end at once, between two awaits, without any clean-up."""

    __slots__ = ("generation", "name", "processes", "skew_ms")

    def __init__(self, name: str, skew_ms: int = 0) -> None:
        self.name = name
        self.skew_ms = skew_ms
        self.generation = 0
        self.processes: set[Process] = set()


class Process:
    """A running coroutine. `outcome` is None while it runs, then ("returned", value), ("raised", error) or ("crashed", None)."""

    __slots__ = ("at", "coroutine", "heard", "instance", "name", "outcome", "waiters")

    def __init__(self, name: str, coroutine: Coroutine[Trap, Any, Any], instance: Instance) -> None:
        self.name = name
        self.coroutine = coroutine
        self.instance = instance
        self.outcome: tuple[str, Any] | None = None
        self.waiters: list[Callable[[], None]] = []
        self.at = "start"
        self.heard: int = 0


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a history: when (ms), who, what, and its facts."""

    at_ms: int
    who: str
    what: str
    facts: Mapping[str, Any]

    def __str__(self) -> str:
        facts = " ".join(f"{key}={value}" for key, value in self.facts.items())
        return f"{self.at_ms:>16} {self.who:<14} {self.what:<24} {facts}"


class Ground(Protocol):
    """What both drivers offer to the code that lives in them."""

    now_ms: int
    history: list[Event]

    def spawn(self, name: str, coroutine: Coroutine[Trap, Any, Any], instance: Instance) -> Process: ...

    def cancel(self, process: Process) -> None:
        """End a process where it stands; nobody waits for what it would have returned."""
        ...

    def fault(self, label: str) -> bool:
        """Does the named fault happen here and now?"""
        ...

    def delay(self, low_ms: float, high_ms: float) -> float:
        """A delay for something that takes between two times."""
        ...

    def note(self, who: str, what: str, **facts: Any) -> None: ...

    def heard(self, fact: Any) -> None:
        """The running process has just learnt `fact` (hashable): from here on its future may depend on it."""
        ...


_NO_FACTS: Mapping[str, Any] = {}
_pauses: dict[str, Trap] = {}


def pause(label: str) -> Trap:
    """To be awaited: a point where the world may do anything else first."""
    trap = _pauses.get(label)
    if trap is None:
        trap = _pauses[label] = Trap(label)
    return trap


def sleep(delay_ms: float, label: str = "sleep") -> Trap:
    """To be awaited: let virtual time pass."""
    return Trap(label, delay_ms=delay_ms)


async def outcome_of(process: Process, timeout_ms: float | None = None) -> Any:
    """Wait for a process of this world. Returns what it returned.

    Raises what it raised, `Crashed` if its instance went down, `TimeoutError` if it took longer (it runs on).
    """
    await Trap("wait", delay_ms=timeout_ms, process=process)
    if process.outcome is None:
        raise TimeoutError(f"{process.name} did not end within {timeout_ms} ms")
    kind, value = process.outcome
    if kind == "raised":
        raise value
    if kind == "crashed":
        raise Crashed(process.name)
    return value


@dataclass(slots=True)
class Chances:
    """How often things go wrong and how long they take. Rates are probabilities per occasion; 0 switches a fault off.

    `crash_of`: which instances crash, by how their names begin. `crash_gap_ms`: at least so long after one crash there is no other.
    """

    faults: Mapping[str, float] = field(default_factory=dict)
    delays: Mapping[str, Delay] = field(default_factory=dict)
    default_delay: Delay = (0.2, 8.0)
    crash_rate: float = 0.0
    crash_of: tuple[str, ...] = ("webhook", "worker")
    crash_gap_ms: int = 0


class World:
    """The seeded driver. `run` ends when nothing is left to do or the given time has come."""

    def __init__(self, seed: int, chances: Chances, start_ms: int = 1_700_000_000_000) -> None:
        self.seed = seed
        self.chances = chances
        self.random = Random(seed)
        self.now_ms = start_ms
        self.history: list[Event] = []
        self.injected: dict[str, int] = {}
        self.steps = 0
        # What is next: a process to go on (the frequent case, without a closure), or something to call.
        self._agenda: list[tuple[float, int, Process | Callable[[], object]]] = []
        self._order = 0
        self._clock = float(start_ms)
        self._fallen: list[Process] = []
        self._next_crash = 0.0

    def spawn(self, name: str, coroutine: Coroutine[Trap, Any, Any], instance: Instance) -> Process:
        process = Process(name, coroutine, instance)
        instance.processes.add(process)
        self._at(self._clock, process)
        return process

    def cancel(self, process: Process) -> None:
        if process.outcome is None:
            self._fallen.append(process)
            self._leave(process, ("cancelled", None))

    def fault(self, label: str) -> bool:
        rate = self.chances.faults.get(label, 0.0)
        if rate and self.random.random() < rate:
            self.injected[label] = self.injected.get(label, 0) + 1
            self.history.append(Event(self.now_ms, "fault", label, _NO_FACTS))
            return True
        return False

    def delay(self, low_ms: float, high_ms: float) -> float:
        draw = self.random.random()
        return low_ms + (high_ms - low_ms) * draw * draw * draw

    def note(self, who: str, what: str, **facts: Any) -> None:
        self.history.append(Event(self.now_ms, who, what, facts))

    def heard(self, fact: Any) -> None:
        """Nothing to keep: a seeded run is not pruned."""

    def crash(self, instance: Instance, what: str = "crash") -> None:
        """Kill an instance between two awaits. Its coroutines are kept, unclosed: a dead process runs no `finally`. `what`: for the
        history."""
        instance.generation += 1
        fallen = sorted(instance.processes, key=lambda process: process.name)
        instance.processes.clear()
        self._fallen.extend(fallen)
        self.note(instance.name, what, processes=len(fallen))
        for process in fallen:
            self._end(process, ("crashed", None))

    def run(self, until_ms: int | None = None) -> None:
        """Play on until nothing is left to do, or everything before `until_ms` has happened."""
        agenda = self._agenda
        while agenda and (until_ms is None or agenda[0][0] < until_ms):
            when, _, following = heappop(agenda)
            if when > self._clock:
                self._clock = when
                self.now_ms = int(when)
            self.steps += 1
            if isinstance(following, Process):
                self._resume(following)
            else:
                following()

    @property
    def next_at(self) -> float | None:
        """When the next thing happens, ms; None if nothing is left to do."""
        return self._agenda[0][0] if self._agenda else None

    def at(self, when_ms: float, action: Callable[[], object]) -> None:
        """Have something done from outside at a moment (now, if that is past)."""
        self._at(max(when_ms, self._clock), action)

    def close(self) -> None:
        """Close what crashed or never ended. After this the world is history only."""
        for process in self._fallen:
            process.coroutine.close()
        self._fallen.clear()
        self._agenda.clear()

    def _at(self, when: float, following: Process | Callable[[], object]) -> None:
        self._order += 1
        heappush(self._agenda, (when, self._order, following))

    def _resume(self, process: Process) -> None:
        if process.outcome is not None:
            return
        try:
            trap = process.coroutine.send(None)
        except StopIteration as stop:
            self._leave(process, ("returned", stop.value))
            return
        except Exception as error:  # noqa: BLE001 - whatever ends a process is its outcome
            self._leave(process, ("raised", error))
            return
        chances = self.chances
        if chances.crash_rate and self._crashes(process.instance, trap.label):
            return
        if trap.any_of:
            self._wait_any(process, trap.any_of)
        elif trap.process is not None:
            self._wait(process, trap)
        elif trap.delay_ms is not None:
            self._at(self._clock + trap.delay_ms, process)
        else:
            low, high = chances.delays.get(trap.label, chances.default_delay)
            self._at(self._clock + self.delay(low, high), process)

    def _crashes(self, instance: Instance, label: str) -> bool:
        """Whether the instance goes down at this await."""
        chances = self.chances
        if self._clock < self._next_crash or not instance.name.startswith(chances.crash_of) or self.random.random() >= chances.crash_rate:
            return False
        self._next_crash = self._clock + chances.crash_gap_ms
        self.injected[f"crash:{label}"] = self.injected.get(f"crash:{label}", 0) + 1
        self.crash(instance)
        return True

    def _wait(self, process: Process, trap: Trap) -> None:
        awaited = trap.process
        assert awaited is not None
        pending = True

        def go() -> None:
            nonlocal pending
            if pending:
                pending = False
                self._resume(process)

        if awaited.outcome is not None:
            self._at(self._clock, go)
            return
        awaited.waiters.append(lambda: self._at(self._clock, go))
        if trap.delay_ms is not None:
            self._at(self._clock + trap.delay_ms, go)

    def _wait_any(self, process: Process, awaited: tuple[Process, ...]) -> None:
        pending = True

        def go() -> None:
            nonlocal pending
            if pending:
                pending = False
                self._resume(process)

        if any(one.outcome is not None for one in awaited):
            self._at(self._clock, go)
            return
        for one in awaited:
            one.waiters.append(lambda: self._at(self._clock, go))

    def _leave(self, process: Process, outcome: tuple[str, Any]) -> None:
        process.instance.processes.discard(process)
        self._end(process, outcome)

    def _end(self, process: Process, outcome: tuple[str, Any]) -> None:
        process.outcome = outcome
        for wake in process.waiters:
            wake()
        process.waiters.clear()
