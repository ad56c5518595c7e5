"""The queue of starts in the home region is paused: the copy in the second region does the work, in time."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    home, _second = scene.handoff_queues()
    scene.fault(f"tasks.queue.{home}: pause")
    report = await scene.meeting(speed=1.0)
    await scene.accepted_and_recorded(report)
    copies = [line["copy"] for line in scene.events("start_seen")]
    scene.holds("the copy of the second region came alone", copies == ["second"], copies)


DRILL = Drill("The home region's queue of starts is paused.", run, fires={"queue-stalled": 60.0})
