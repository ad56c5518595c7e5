"""Records go when their time has passed, and not before; meanwhile the daily probe keeps every queue awake."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.zoom.webhooks.event import WebhookEvent

DAY_S = 86_400.0
UNUSABLE_DAYS = 30
"""How long the copy of an event that could not be used is kept (docs/runbook.md)."""


async def run(scene: Scene) -> None:
    await scene.accepted_and_recorded(await scene.meeting())
    unusable = WebhookEvent("meeting.rtms_started", {"meeting_uuid": "without-a-stream"}, scene.cloud.vendors_clock.now_ms())
    scene.holds("a signed event that cannot be used is taken", await scene.sent(unusable) == 200)
    collections = ("handoffs", "streams", "unusable")
    await scene.pass_time(60.0)
    await scene.soon("no task is left", lambda: not any(scene.cloud.tasks.depths().values()))
    before = await counted(scene, collections)
    scene.holds("there is a record of the hand-off, of the stream and of that event", all(before.values()), before)
    await scene.cloud.leap(DAY_S)
    await scene.pass_time(60.0)
    after_a_day = await counted(scene, collections)
    scene.holds("a day later all of them are there", after_a_day == before, after_a_day)
    queues = len(scene.cloud.tasks.queues())
    await scene.soon("the daily probe has come through every queue", lambda: len(scene.events("probe_arrived")) == queues)
    days = int(scene.cloud.variable("worker", "RECORDS_KEEP_DAYS"))
    await scene.cloud.leap((max(days, UNUSABLE_DAYS) + 1) * DAY_S)
    gone = await counted(scene, collections)
    scene.holds(f"a day after their time ({days} and {UNUSABLE_DAYS} days) none is left", not any(gone.values()), gone)


async def counted(scene: Scene, collections: tuple[str, ...]) -> dict[str, int]:
    return {name: await scene.cloud.records.count(name) for name in collections}


DRILL = Drill(
    "A meeting and an event that cannot be used are on record, until their time has passed.",
    run,
    fires={"event-unusable": 60.0},
    emulator=True,
)
