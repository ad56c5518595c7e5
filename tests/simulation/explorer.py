"""Every order of steps of a small world, every place for a crash, every occasion for a bounded number of faults.

The same processes and traps as in `world.py`, but nothing is drawn: wherever something could go one way or another, all ways
are tried, depth first. A coroutine cannot be copied, so a branch is reached again by playing its choices from the start; a
state met before is not entered twice. Two states are the same if the world's own fingerprint is, the time is, and each process
stands at the same await having heard the same things, since what a deterministic coroutine does next depends on nothing else.

Steps that touch nothing shared (the first step of a process, the return from a wait, and those after an await that the scene
calls local) commute with everybody else's, so one order of them stands for all; a crash is still tried before and after each.

Time passes when nothing else can move: then the earliest deadline comes. Besides, a bounded number of `stalls` lets a deadline
come although others could move: so a process can be slower than any time-out, which is how leases come to be broken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.simulation.world import Event, Instance, Process, Trap


class Scene(Protocol):
    """A small world under exploration, made anew for each branch."""

    def fingerprint(self) -> Hashable:
        """All state outside the processes: documents, tasks, what the far side knows."""
        ...

    def check(self, history: list[Event]) -> None:
        """Raise AssertionError if the finished world breaks a promise."""
        ...


class Violation(AssertionError):
    """A promise broken on some path. `choices` replays it; the message tells its story."""

    def __init__(self, error: AssertionError, choices: tuple[int, ...], history: list[Event]) -> None:
        self.choices = choices
        self.history = history
        story = "\n".join(str(event) for event in history)
        super().__init__(f"{error}\nchoices: {choices}\n{story}")


@dataclass(slots=True)
class Findings:
    """What an exploration amounted to."""

    states: int = 0
    endings: int = 0
    replays: int = 0
    steps: int = 0
    crashes: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    complete: bool = False


class _Pruned(Exception):
    """The branch has come to a state met before."""


class Branch:
    """One path through the world: the ground that the processes stand on while it is played."""

    def __init__(self, explorer: Explorer, prefix: tuple[int, ...], start_ms: int) -> None:
        self.now_ms = start_ms
        self.history: list[Event] = []
        self.choices: list[int] = []
        self._explorer = explorer
        self._prefix = prefix
        self._processes: list[Process] = []
        self._traps: dict[Process, Trap | None] = {}
        self._ready_at: dict[Process, int] = {}
        self._fallen: list[Process] = []
        self._crashes_left = explorer.crashes
        self._stalls_left = explorer.stalls
        self._faults_left = dict(explorer.faults)
        self._current: Process | None = None
        self.scene: Scene | None = None

    def spawn(self, name: str, coroutine: Coroutine[Trap, Any, Any], instance: Instance) -> Process:
        process = Process(name, coroutine, instance)
        instance.processes.add(process)
        self._processes.append(process)
        self._traps[process] = None
        return process

    def cancel(self, process: Process) -> None:
        if process.outcome is None:
            self._fallen.append(process)
            self._end(process, ("cancelled", None))

    def note(self, who: str, what: str, **facts: Any) -> None:
        self.history.append(Event(self.now_ms, who, what, facts))

    def heard(self, fact: Any) -> None:
        process = self._current
        if process is not None:
            process.heard = hash((process.heard, fact))

    def delay(self, low_ms: float, high_ms: float) -> float:
        """The short end: longer delays are covered by letting others go first."""
        return low_ms

    def fault(self, label: str) -> bool:
        if not self._faults_left.get(label):
            return False
        happens = self._choose(2, prune=False) == 1
        if happens:
            self._faults_left[label] -= 1
            self._explorer.findings.faults[label] = self._explorer.findings.faults.get(label, 0) + 1
        self.heard((label, happens))
        return happens

    def play(self) -> None:
        """Follow the prefix, then always the first choice, leaving the others to the explorer. Raises `_Pruned`."""
        while True:
            ready = [process for process in self._processes if self._is_ready(process)]
            timed = sorted((self._ready_at[process], number) for number, process in enumerate(self._processes) if self._is_timed(process))
            waiting = [self._processes[number] for when, number in timed if when == timed[0][0]]
            # A deadline that has come is as good as ready; one to come needs nobody else to move, or a stall.
            if timed and timed[0][0] <= self.now_ms:
                ready += waiting
                waiting = []
            if not ready and not waiting:
                return
            local = next((process for process in ready if self._is_local(process)), None)
            if local is not None:
                ready, waiting = [local], []
            killable = self._killable() if self._crashes_left else []
            overtaking = waiting if not ready or self._stalls_left else []
            choice = self._choose(len(ready) + len(overtaking) + len(killable))
            if choice < len(ready):
                self._step(ready[choice])
            elif choice < len(ready) + len(overtaking):
                self._stalls_left -= bool(ready)
                self._step(overtaking[choice - len(ready)])
            else:
                self._crashes_left -= 1
                self._explorer.findings.crashes += 1
                self._crash(killable[choice - len(ready) - len(overtaking)])

    def close(self) -> None:
        for process in [*self._fallen, *self._processes]:
            process.coroutine.close()

    def _is_ready(self, process: Process) -> bool:
        trap = self._traps[process]
        if trap is None:
            return True
        if trap.any_of:
            return any(one.outcome is not None for one in trap.any_of)
        return trap.process.outcome is not None if trap.process is not None else trap.delay_ms is None

    def _is_local(self, process: Process) -> bool:
        trap = self._traps[process]
        return trap is None or trap.process is not None or bool(trap.any_of) or trap.label in self._explorer.local

    def _is_timed(self, process: Process) -> bool:
        trap = self._traps[process]
        return trap is not None and trap.delay_ms is not None and not self._is_ready(process)

    def _killable(self) -> list[Instance]:
        instances = {
            process.instance.name: process.instance for process in self._processes if process.outcome is None and process.at != "start"
        }
        return [instances[name] for name in sorted(instances) if name != "world"]

    def _step(self, process: Process) -> None:
        trap = self._traps[process]
        if trap is not None and self._is_timed(process):
            self.now_ms = max(self.now_ms, self._ready_at[process])
        self._current = process
        self._explorer.findings.steps += 1
        try:
            following = process.coroutine.send(None)
        except StopIteration as stop:
            self._end(process, ("returned", stop.value))
        except (_Pruned, Violation):
            raise
        except Exception as error:  # noqa: BLE001 - whatever ends a process is its outcome
            self._end(process, ("raised", error))
        else:
            self._traps[process] = following
            process.at = following.label
            if following.delay_ms is not None:
                self._ready_at[process] = self.now_ms + int(following.delay_ms)
        finally:
            self._current = None

    def _crash(self, instance: Instance) -> None:
        instance.generation += 1
        fallen = sorted(instance.processes, key=lambda process: process.name)
        self.note(instance.name, "crash", at=",".join(f"{process.name}@{process.at}" for process in fallen))
        for process in fallen:
            self._fallen.append(process)
            self._end(process, ("crashed", None))

    def _end(self, process: Process, outcome: tuple[str, Any]) -> None:
        process.instance.processes.discard(process)
        process.outcome = outcome
        self._processes.remove(process)

    def _fingerprint(self) -> Hashable:
        assert self.scene is not None
        places = frozenset(
            (process.name, process.at, process.heard, self._deadline(process), self._awaited(process)) for process in self._processes
        )
        budgets = (self._crashes_left, self._stalls_left, tuple(sorted(self._faults_left.items())))
        return (self.scene.fingerprint(), self.now_ms, places, budgets)

    def _deadline(self, process: Process) -> int | None:
        return self._ready_at[process] if self._is_timed(process) else None

    def _awaited(self, process: Process) -> Hashable:
        trap = self._traps[process]
        if trap is not None and trap.any_of:
            return tuple((one.name, one.outcome and (one.outcome[0], repr(one.outcome[1]))) for one in trap.any_of)
        if trap is None or trap.process is None:
            return None
        awaited = trap.process.outcome
        return None if awaited is None else (awaited[0], repr(awaited[1]))

    def _choose(self, count: int, *, prune: bool = True) -> int:
        depth = len(self.choices)
        if depth < len(self._prefix):
            choice = self._prefix[depth]
        else:
            choice = 0
            if prune and not self._explorer.is_new(self._fingerprint()):
                raise _Pruned
            if count > 1:
                self._explorer.leave_open(tuple(self.choices), count)
        self.choices.append(choice)
        return choice


class Explorer:
    """Depth-first search over all choices of a scene.

    `build` gets a fresh `Branch`, spawns the opening processes on it and returns the scene. `limit` bounds the number of
    states; `Findings.complete` says whether all were seen. Raises `Violation` on the first broken promise.
    """

    def __init__(
        self,
        build: Callable[[Branch], Scene],
        *,
        crashes: int = 1,
        stalls: int = 0,
        faults: Mapping[str, int] | None = None,
        local: Collection[str] = (),
        limit: int = 1_000_000,
        start_ms: int = 1_700_000_000_000,
    ) -> None:
        self.crashes = crashes
        self.stalls = stalls
        self.faults = dict(faults or {})
        self.local = frozenset(local)
        self.findings = Findings()
        self._build = build
        self._limit = limit
        self._start_ms = start_ms
        self._seen: set[int] = set()
        self._open: list[tuple[int, ...]] = []

    def run(self) -> Findings:
        self._open = [()]
        while self._open:
            if self.findings.states >= self._limit:
                return self.findings
            self.replay(self._open.pop())
        self.findings.complete = True
        return self.findings

    def replay(self, choices: tuple[int, ...]) -> Branch:
        """Play one path; what it leaves open is queued. Raises `Violation`."""
        branch = Branch(self, choices, self._start_ms)
        branch.scene = self._build(branch)
        self.findings.replays += 1
        try:
            branch.play()
        except _Pruned:
            return branch
        else:
            self.findings.endings += 1
            try:
                branch.scene.check(branch.history)
            except AssertionError as error:
                raise Violation(error, tuple(branch.choices), branch.history) from error
            return branch
        finally:
            branch.close()

    def is_new(self, fingerprint: Hashable) -> bool:
        # A 64-bit hash: with a million states the chance that two differing ones are taken for one is below 3e-8.
        digest = hash(fingerprint)
        if digest in self._seen:
            return False
        self._seen.add(digest)
        self.findings.states += 1
        return True

    def leave_open(self, prefix: tuple[int, ...], count: int) -> None:
        self._open.extend((*prefix, choice) for choice in range(count - 1, 0, -1))
