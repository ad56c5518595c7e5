"""The schedule is paused: nobody looks after what the queues miss, and somebody hears of it within half an hour."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene

QUIET_S = 1200.0
"""How long all is well before: longer than any alert waits until it fires."""


async def run(scene: Scene) -> None:
    await scene.pass_time(QUIET_S)
    scene.holds("the worker is swept each minute before", len(scene.events("sweep")) >= QUIET_S / 60 - 1, len(scene.events("sweep")))
    scene.holds("which wakes nobody", not scene.pages(), scene.pages())
    scene.began = scene.cloud.clock.now()
    for scheduler in scene.cloud.schedulers.values():
        scheduler.paused = True
    await scene.pass_time(600.0)
    scene.holds("ten minutes alone wake nobody", not scene.pages(), scene.pages())


DRILL = Drill("Cloud Scheduler is paused.", run, fires={"sweep-stopped": 1800.0})
