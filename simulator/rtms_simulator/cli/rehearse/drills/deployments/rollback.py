"""The old code is deployed again: it reads what the new code wrote."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    await scene.update()
    old = scene.code_hash()
    with scene.new_code():
        await scene.update()
    await scene.accepted_and_recorded(await scene.meeting())
    await scene.update()
    await scene.holds_code("the old code runs again", {old})
    records = await scene.records()
    scene.holds("and reads the record of the new one", [row.state for row in records] == ["accepted"], [row.state for row in records])
    await scene.meeting()
    await scene.soon("and hands on the next meeting", lambda: scene.accepted() == 2)


DRILL = Drill("New code is deployed, and the old code again.", run)
