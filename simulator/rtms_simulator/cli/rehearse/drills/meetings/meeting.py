"""A meeting is held and recorded, and nobody is woken."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.kit.worker_answers import HandOffRow
from rtms_simulator.zoom.webhooks.events import StreamIds, stopped

LAST_RETRY_S = 85 * 60.0


async def run(scene: Scene) -> None:
    validation = await scene.cloud.zoom.validate(scene.cloud.webhook_url)
    scene.holds("the webhook passes Zoom's URL validation", validation.ok, validation.problem)
    report = await scene.meeting()
    await scene.accepted_and_recorded(report)
    await scene.pass_time(60.0)
    await scene.soon("Cloud Scheduler has the worker swept", lambda: scene.events("sweep"))
    records = await scene.records()
    scene.holds("one hand-off is on record", len(records) == 1, [row.state for row in records])
    for row in records:
        await found_by_each_filter(scene, row)
    again = stopped("meeting", StreamIds("a-meeting", "a-stream"), 6, scene.cloud.vendors_clock.now_ms())
    late = await scene.sent(again, LAST_RETRY_S)
    scene.holds("an event that Zoom signed 85 minutes ago is taken: its last retry may be", late == 200, late)
    scene.holds("no permission was missing", not scene.cloud.decisions.refused, "; ".join(scene.cloud.decisions.refused))


async def found_by_each_filter(scene: Scene, row: HandOffRow) -> None:
    """Each filter of a list needs an index of its own, and several together need all of theirs."""
    filters = {
        "state": row.state,
        "recording": row.retrieval,
        "stream": row.rtms_stream_id,
        "meeting": row.entity_id,
        "mdc": row.mdc_id or "",
    }
    for narrowed in (*({name: value} for name, value in filters.items()), filters):
        rows = await scene.records(**narrowed)
        scene.holds(f"a list by {', '.join(narrowed)} has it", [one.id for one in rows] == [row.id], len(rows))


DRILL = Drill("Two people meet for ten seconds.", run)
