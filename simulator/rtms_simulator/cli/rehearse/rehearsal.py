"""A whole rehearsal: the program loaded once, an emulator of the records if there is one, and the drills side by side, each on a cloud of
its own."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rtms_infra.rehearsal.logfilter import FilterError
from rtms_infra.rehearsal.promql import QueryError
from rtms_infra.rehearsal.registered import Function, NotRegistered, UnreadableResource
from rtms_infra.rehearsal.rights import ConditionError
from rtms_simulator.cli.play.outcome import Ended
from rtms_simulator.cli.rehearse.deployed.schedule import ScheduleError
from rtms_simulator.cli.rehearse.deployed.services import NotDeployed
from rtms_simulator.cli.rehearse.drill import PATIENCE_S, Drill, DrillResult, Promise, Scene, judged, last_lines
from rtms_simulator.cli.rehearse.local_cloud import LocalCloud, Surroundings
from rtms_simulator.cli.rehearse.program import Loaded, Program, ProgramRefused
from rtms_simulator.clock import Clock
from rtms_simulator.errors import ChildEndedError, TaskRefusedError
from rtms_simulator.serving import firestore_emulator

SEEDS = 1_000_000
Tell = Callable[[str], None]
BROKEN = (
    NotDeployed,
    NotRegistered,
    ProgramRefused,
    ScheduleError,
    TaskRefusedError,
    ChildEndedError,
    TimeoutError,
    FilterError,
    QueryError,
    UnreadableResource,
    ConditionError,
)
"""What a deployment can be like so that it does not even start: each is the failure of the drill that meets it."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How drills are run. `propagation_s`: how long a grant takes; `patience_s`: how long something is waited for, in real seconds;
    `tell(sentence)` hears how it goes on, `on_line(who, line)` each line of the functions; `jobs`: how many run side by side."""

    propagation_s: float = 0.0
    patience_s: float = PATIENCE_S
    tell: Tell = lambda _what: None
    on_line: Callable[[str, str], None] | None = None
    jobs: int = 1


async def rehearse(program: Program, drills: Mapping[str, Drill], folder: Path, manner: Manner) -> tuple[list[DrillResult], list[str]]:
    """Run the drills, `manner.jobs` side by side, each on a cloud of its own. Returns what came of them in their order, and what could not
    be shown here, a sentence each.

    A drill that measures how fast something is runs alone, after the others, and so does one that a busy machine may have disturbed.
    Raises `ProgramRefused` if the program refuses the settings as they are, and `BadInput` where the functions cannot be installed.
    """
    manner.tell("Running the Pulumi program ...")
    loaded = await program.load()
    missing = firestore_emulator.unavailable()
    runnable_drills = {name: drill for name, drill in drills.items() if missing is None or not drill.emulator}
    beside = {name: drill for name, drill in runnable_drills.items() if not drill.alone}
    with contextlib.ExitStack() as places:
        lanes = await _lanes(places, program, folder, min(manner.jobs, max(1, len(beside))), emulated=missing is None)
        stage = _Stage(loaded, folder, manner)
        await stage.side_by_side(lanes, beside)
        await stage.side_by_side(lanes[:1], {name: drill for name, drill in runnable_drills.items() if name not in beside})
        await stage.side_by_side(lanes[:1], stage.disturbed(runnable_drills))
    return [stage.results[name] for name in runnable_drills], [*not_shown(loaded), *without_emulator(drills, missing)]


@dataclass(frozen=True, slots=True)
class _Lane:
    """What drills change: they share it one after the other, never side by side. `emulator`: of the records, its `host:port`; empty where
    there is none."""

    program: Program
    emulator: str


async def _lanes(places: contextlib.ExitStack, program: Program, folder: Path, count: int, *, emulated: bool) -> list[_Lane]:
    """So many lanes, which end with `places`; the first has `program` itself."""
    programs = [program]
    for number in range(1, count):
        programs.append(program.beside(folder / f"project-{number}"))
        places.callback(programs[-1].close)

    def emulator() -> str:  # in a thread: it takes seconds to answer
        return places.enter_context(firestore_emulator.emulator())

    addresses = await asyncio.gather(*(asyncio.to_thread(emulator) for _ in programs if emulated))
    return [_Lane(*one) for one in zip(programs, addresses or [""] * count, strict=True)]


class _Stage:
    """Where drills run. `results`: what came of each, by name."""

    def __init__(self, loaded: Loaded, folder: Path, manner: Manner) -> None:
        self._loaded, self._folder, self._manner = loaded, folder, manner
        self._numbers = itertools.count()
        self.results: dict[str, DrillResult] = {}

    async def side_by_side(self, lanes: Sequence[_Lane], drills: Mapping[str, Drill]) -> None:
        """Each lane takes the next drill when it has ended one. Drills of the engine alone need no time of the functions, and come last."""
        waiting = sorted(drills.items(), key=lambda one: not one[1].deployed)
        waiting.reverse()

        async def run(lane: _Lane) -> None:
            while waiting:
                name, drill = waiting.pop()
                await self._run(lane, name, drill)

        try:
            async with asyncio.TaskGroup() as running:
                for lane in lanes:
                    running.create_task(run(lane))
        except ExceptionGroup as errors:
            # What ends the whole command, not one drill; the first says it.
            raise errors.exceptions[0] from None

    def disturbed(self, drills: Mapping[str, Drill]) -> dict[str, Drill]:
        """Those that a busy machine may have disturbed."""
        busy_drills = {name: drill for name, drill in drills.items() if self.results[name].busy}
        for name in busy_drills:
            self._manner.tell(f"again  {name}: {', '.join(self.results[name].fired)} fired, which a busy machine does, too")
        return busy_drills

    async def _run(self, lane: _Lane, name: str, drill: Drill) -> None:
        number, manner = next(self._numbers), self._manner
        place = self._folder / f"{number}-{name}"
        around = Surroundings(place, lane.emulator, manner.propagation_s, seed=seed_of(name), vendors=drill.vendors)
        self.results[name] = result = await _one(name, drill, lane.program, self._loaded, around, manner)
        manner.tell(f"{'ok    ' if result.ok else 'FAILED'} {name}, {result.took_s:.1f} s")


def seed_of(name: str) -> int:
    """Of a drill: the same alone and among others, so that the command that repeats it repeats its ids, too."""
    return zlib.crc32(name.encode()) % SEEDS


async def _one(name: str, drill: Drill, program: Program, loaded: Loaded, around: Surroundings, manner: Manner) -> DrillResult:
    """One drill on a cloud of its own. Whatever ends it is a promise of its own that does not hold: the other drills go on."""
    began, cloud = Clock().now(), None
    scene = Scene(None, program, manner.patience_s, manner.propagation_s)
    try:
        async with contextlib.AsyncExitStack() as running:
            if drill.deployed:
                if drill.keys:
                    loaded = await program.load(**drill.keys)
                cloud = LocalCloud(loaded, around, _from(name, manner))
                running.push_async_callback(cloud.aclose)
                await cloud.clear_records()
                await cloud.start()
                scene = Scene(cloud, program, manner.patience_s, manner.propagation_s, drill.keys)
            return await judged(name, drill, scene)
    except Ended:  # it is about this machine, and no other drill could show anything
        raise
    except Exception as error:  # noqa: BLE001  # a mistake of the program's can show as any
        return _cut_short(name, drill, cloud, [*scene.promises, _broken(error)], error, Clock().now() - began)


def _from(name: str, manner: Manner) -> Callable[[str, str], None] | None:
    """Who hears the lines of one drill: where several run at once, each line says which it is of."""
    on_line = manner.on_line
    if on_line is None or manner.jobs == 1:
        return on_line
    return lambda role, line: on_line(f"{name} {role}", line)


def _broken(error: Exception) -> Promise:
    """The promise that this error breaks."""
    if isinstance(error, NotRegistered):
        return Promise("all that this needs is registered", False, str(error))
    if isinstance(error, BROKEN):
        return Promise("the deployment starts", False, str(error))
    return Promise("the drill comes to its end", False, "; ".join(_named(error)))


def _named(error: Exception) -> list[str]:
    """Type and message: of a group, those of each error in it."""
    if isinstance(error, ExceptionGroup):
        return [text for one in error.exceptions for text in _named(one)]
    return [f"{type(error).__name__}: {error}"]


def _cut_short(name: str, drill: Drill, cloud: LocalCloud | None, promises: list[Promise], error: Exception, took_s: float) -> DrillResult:
    lines = [f"{error.name}: {line}" for line in error.lines] if isinstance(error, ChildEndedError) else []
    return DrillResult(
        name=name,
        happens=drill.happens,
        ok=False,
        promises=promises,
        expected=dict(drill.fires),
        fired={},
        pages=[],
        refused=list(cloud.decisions.refused) if cloud else [],
        lines=lines or (last_lines(cloud) if cloud else []),
        took_s=round(took_s, 1),
    )


def without_emulator(drills: Mapping[str, Drill], missing: str | None) -> list[str]:
    """`missing`: why there is no emulator."""
    if missing is None:
        return []
    left_out = [f"The drill {name}: there is no Firestore emulator." for name, drill in drills.items() if drill.emulator]
    return [f"The records are in SQLite, and no right or index of theirs is checked: {missing}.", *left_out]


def not_shown(loaded: Loaded) -> list[str]:
    """What is registered and means nothing on this machine."""
    archives = set()
    with contextlib.suppress(UnreadableResource):  # the drills name it
        archives = {function.archive_bucket for function in loaded.registered.of(Function).values()} - {""}
    in_folders = [f"Recordings are copied into a folder, and no right on the bucket is checked: {name}." for name in sorted(archives)]
    return [*(f"{len(names)} x {reason}: {', '.join(names)}" for reason, names in loaded.registered.nothing_here().items()), *in_folders]
