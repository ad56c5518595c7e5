"""New code is deployed while a meeting runs: it and the next one are recorded to their end, and no event is refused."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    await scene.update()
    meeting = scene.begin()
    await scene.soon("the start is handed on by the old code", lambda: scene.accepted() == 1)
    with scene.new_code():
        before = scene.code_hash()
        await scene.update()
        scene.holds("the new code runs", scene.code_hash() != before, before)
    # On a busy machine the first may have ended before the new code was there.
    following = scene.begin()
    reports = [await meeting.finished(), await following.finished()]
    for count, report in enumerate(reports, start=1):
        await scene.accepted_and_recorded(report, count)
    statuses = [delivery.status for report in reports for delivery in report.deliveries]
    scene.holds("no event was refused", set(statuses) == {200}, statuses)


DRILL = Drill("Both functions are updated in the middle of a meeting, and another one follows.", run)
