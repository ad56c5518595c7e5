"""Firestore does not answer: starts are handed on without it, and what came of them is on record afterwards."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    firestore = scene.cloud.guards["firestore", "worker"]
    firestore.hanging = True
    meeting = scene.begin()
    await scene.soon("the start is handed on without the records", lambda: scene.accepted() == 1, within_s=30.0)
    firestore.hanging = False
    await meeting.finished()
    await scene.soon_as_due("what came of it is on record", lambda: scene.events("outcome_noted"))
    records = await scene.records()
    scene.holds("as one accepted hand-off", [row.state for row in records] == ["accepted"], [row.state for row in records])


DRILL = Drill(
    "Firestore hangs when a start arrives, and comes back.",
    run,
    fires={"store-away": 60.0},
    may=frozenset({"errors"}),
    emulator=True,
)
