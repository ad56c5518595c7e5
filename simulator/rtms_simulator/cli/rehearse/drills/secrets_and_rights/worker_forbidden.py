"""The queues may no longer call the worker: nothing is handed on, somebody is woken, and with the grant back the start is not lost."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene

FIRES = {"start-unseen": 300.0, "tasks-failing": 360.0}


async def run(scene: Scene) -> None:
    scene.take("worker-called-events")
    meeting = scene.begin()
    await scene.acked()
    await scene.until(lambda: scene.cloud.decisions.refused)
    refused = scene.cloud.decisions.refused
    scene.holds("the worker's door refuses the queue", any("run.routes.invoke" in what for what in refused), "; ".join(refused))
    await scene.until_alerts(FIRES)
    scene.holds("nothing reached the worker", not scene.events("start_seen"))
    scene.cloud.rights.give("worker-called-events")
    await scene.soon("with the grant back the start is still handed on", lambda: scene.accepted() == 1)
    await meeting.aclose()


# Once the grant is back, either copy of the start may come first.
DRILL = Drill(
    "A start arrives while the grant `worker-called-events` is missing; then the grant is given again.",
    run,
    fires=FIRES,
    may=frozenset({"queue-stalled"}),
)
