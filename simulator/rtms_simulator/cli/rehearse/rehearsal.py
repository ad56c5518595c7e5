"""A whole rehearsal: the program loaded once, an emulator of the records if there is one, and each drill on a cloud of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtms_infra.rehearsal.logfilter import FilterError
from rtms_infra.rehearsal.promql import QueryError
from rtms_infra.rehearsal.registered import UnreadableResource
from rtms_infra.rehearsal.rights import ConditionError
from rtms_simulator.cli.rehearse.drill import PATIENCE_S, Drill, DrillResult, Promise, Scene, judged, last_lines
from rtms_simulator.cli.rehearse.local_cloud import LocalCloud, NotMaterialised, Surroundings
from rtms_simulator.cli.rehearse.program import Loaded, Program
from rtms_simulator.cli.rehearse.schedule import ScheduleError
from rtms_simulator.cli.rehearse.services import NotDeployed
from rtms_simulator.clock import Clock
from rtms_simulator.errors import ChildEndedError, TaskRefusedError
from rtms_simulator.serving import firestore_emulator

Tell = Callable[[str], None]
BROKEN = (
    NotDeployed,
    NotMaterialised,
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
    `tell(sentence)` hears how it goes on, `on_line(role, line)` each line of the functions."""

    propagation_s: float = 0.0
    patience_s: float = PATIENCE_S
    tell: Tell = lambda _what: None
    on_line: Callable[[str, str], None] | None = None


async def rehearse(program: Program, drills: Mapping[str, Drill], folder: Path, manner: Manner) -> tuple[list[DrillResult], list[str]]:
    """Run the drills one after the other. Returns what came of them, and what could not be shown here, a sentence each.

    Raises `ProgramRefused` if the program refuses the settings as they are.
    """
    manner.tell("Running the Pulumi program ...")
    loaded = await program.load()
    without = _not_shown(loaded)
    results = []
    with _records(without, manner.tell) as emulator:
        for number, (name, drill) in enumerate(drills.items()):
            if drill.emulator and not emulator:
                without.append(f"The drill {name}: there is no Firestore emulator.")
                continue
            around = Surroundings(folder / name, emulator, manner.propagation_s, seed=number, vendors=drill.vendors)
            result = await _one(name, drill, program, loaded, around, manner)
            if result.busy:
                manner.tell(f"again  {name}: {', '.join(result.fired)} fired, which a busy machine does, too")
                result = await _one(name, drill, program, loaded, around, manner)
            manner.tell(f"{'ok    ' if result.ok else 'FAILED'} {name}, {result.took_s:.1f} s")
            results.append(result)
    return results, without


async def _one(name: str, drill: Drill, program: Program, loaded: Loaded, around: Surroundings, manner: Manner) -> DrillResult:
    """One drill on a cloud of its own. A deployment that does not start is a promise that does not hold."""
    began = Clock().now()
    if not drill.deployed:
        return await judged(name, drill, Scene(None, program, manner.patience_s))
    if drill.keys:
        loaded = await program.load(**drill.keys)
    cloud = None
    try:
        cloud = LocalCloud(loaded, around, manner.on_line)
        await cloud.clear_records()
        await cloud.start()
        return await judged(name, drill, Scene(cloud, program, manner.patience_s))
    except BROKEN as error:
        return _not_started(name, drill, cloud, error, Clock().now() - began)
    finally:
        if cloud is not None:
            await cloud.aclose()


def _not_started(name: str, drill: Drill, cloud: LocalCloud | None, error: BaseException, took_s: float) -> DrillResult:
    lines = [f"{error.name}: {line}" for line in error.lines] if isinstance(error, ChildEndedError) else []
    return DrillResult(
        name=name,
        happens=drill.happens,
        ok=False,
        promises=[Promise("the deployment starts", False, str(error))],
        expected=dict(drill.fires),
        fired={},
        pages=[],
        refused=list(cloud.decisions.refused) if cloud else [],
        lines=lines or (last_lines(cloud) if cloud else []),
        took_s=round(took_s, 1),
    )


@contextlib.contextmanager
def _records(without: list[str], tell: Tell) -> Generator[str]:
    """A Firestore emulator's `host:port`; empty where none can run, which is said."""
    reason = firestore_emulator.unavailable()
    if reason is not None:
        without.append(f"The records are in SQLite, and no right or index of theirs is checked: {reason}.")
        yield ""
        return
    tell("Starting the Firestore emulator ...")
    with firestore_emulator.emulator() as address:
        yield address


def _not_shown(loaded: Loaded) -> list[str]:
    """What is registered and means nothing on this machine."""
    return [f"{len(names)} x {reason}: {', '.join(names)}" for reason, names in loaded.registered.nothing_here().items()]
