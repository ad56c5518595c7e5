"""The worker's code fails on every request: somebody is woken, and once it is mended the start is not lost."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.cli.rehearse.front import Answer

FIRES = {"worker-errors": 120.0, "start-unseen": 300.0, "tasks-failing": 360.0}


async def run(scene: Scene) -> None:
    door = scene.cloud.fronts["worker"]
    door.broken = Answer(500, b"Internal Server Error", reached=True)
    meeting = scene.begin()
    await scene.acked()
    await scene.until_alerts(FIRES)
    scene.holds("nothing reached the worker's code", not scene.events("start_seen"))
    door.broken = None
    await scene.soon("with the code mended the start is still handed on", lambda: scene.accepted() == 1)
    await meeting.aclose()


# Once it is mended, either copy of the start may come first.
DRILL = Drill("The worker answers 500 to everything, and is mended.", run, fires=FIRES, may=frozenset({"queue-stalled"}))
