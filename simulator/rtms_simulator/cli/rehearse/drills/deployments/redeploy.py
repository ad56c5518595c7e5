"""New code is deployed while a meeting runs: the meeting is recorded to its end, and no event is refused."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    meeting = scene.begin()
    await scene.soon("the start is handed on by the old code", lambda: scene.accepted() == 1)
    with scene.new_code():
        before = scene.code_hash()
        await scene.cloud.update(await scene.program.load())
        scene.holds("the new code runs", scene.code_hash() != before, before)
    report = await meeting.finished()
    await scene.accepted_and_recorded(report)
    statuses = [delivery.status for delivery in report.deliveries]
    scene.holds("no event was refused", set(statuses) == {200}, statuses)


DRILL = Drill("Both functions are updated in the middle of a meeting.", run)
