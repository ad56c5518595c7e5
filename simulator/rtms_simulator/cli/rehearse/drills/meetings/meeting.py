"""A meeting is held and recorded, and nobody is woken."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    validation = await scene.cloud.zoom.validate(scene.cloud.webhook_url)
    scene.holds("the webhook passes Zoom's URL validation", validation.ok, validation.problem)
    report = await scene.meeting()
    await scene.accepted_and_recorded(report)
    await scene.pass_time(60.0)
    await scene.soon("Cloud Scheduler has the worker swept", lambda: scene.events("sweep"))
    records = await scene.records()
    scene.holds("one hand-off is on record", len(records) == 1, [row.state for row in records])
    scene.holds("no permission was missing", not scene.cloud.decisions.refused, "; ".join(scene.cloud.decisions.refused))


DRILL = Drill("Two people meet for ten seconds.", run)
