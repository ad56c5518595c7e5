"""Zoom's secret token is rotated: events with the former one are taken until Zoom has changed over, and those with the new one too."""

from dataclasses import replace

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.cli.rehearse.program import MADE_UP

NEW = "rehearsal-secret-token-2"


async def run(scene: Scene) -> None:
    await scene.accepted_and_recorded(await scene.meeting())
    zoom = scene.cloud.zoom
    zoom.apps = tuple(replace(app, secret_token=NEW) for app in zoom.apps)
    # Google's clock goes ahead of the functions': what they put off must be put off as long by it.
    await scene.pass_time(30.0)
    report = await scene.meeting()
    statuses = [delivery.status for delivery in report.deliveries]
    scene.holds("events with the new token are taken, too", set(statuses) == {200}, statuses)
    await scene.soon("and handed on", lambda: scene.accepted() == 2)
    late = scene.handoff_paths()[1]
    waits = [task.due_at - task.created_at for task in scene.cloud.tasks.tasks() if task.name.startswith(f"{late}/")]
    scene.holds("each start's second copy is due about five seconds after it", waits and min(waits) > 4, waits)


DRILL = Drill(
    "The deployment has the new secret token and the former one; Zoom changes over later.",
    run,
    keys={"zoomSecretToken": NEW, "zoomSecretTokenPrevious": MADE_UP["zoomSecretToken"]},
)
