"""Cloud Tasks is away in the home region: it refuses tasks, and sends none that it has. The second region saves the start."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    region = scene.cloud.role("webhook").location
    down = [path.split("/")[-1] for path in scene.cloud.tasks.queues() if f"/locations/{region}/" in path]
    for queue in down:
        scene.fault(f"tasks.create.{queue}@{region}: refuse unavailable")
        scene.fault(f"tasks.queue.{queue}@{region}: stall 0s")
    meeting = scene.begin()
    await scene.soon("the start is acknowledged", lambda: scene.events("start_acked"))
    await scene.soon("and handed on by the second region", lambda: scene.accepted() == 1, within_s=30.0)
    await meeting.finished()
    scene.cloud.faults.clear()
    # The stop was answered 500, and Recall's webhooks too: both come again, and the sweep looks as well.
    await scene.pass_time(120.0)
    scene.holds("the stop was refused, so that Zoom repeats it", scene.events("error"), "no line `error`")


DRILL = Drill(
    "Cloud Tasks is away in the home region while a meeting is held.",
    run,
    fires={"queue-stalled": 60.0, "webhook-errors": 180.0},
    may=frozenset({"errors", "ack-latency"}),
)
