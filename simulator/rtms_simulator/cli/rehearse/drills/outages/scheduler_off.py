"""The schedule is paused: nobody looks after what the queues miss, and somebody hears of it within half an hour."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    await scene.soon("the worker is swept each minute before", lambda: scene.cloud.schedulers["sweep"].runs, within_s=75.0)
    for scheduler in scene.cloud.schedulers.values():
        scheduler.paused = True
    await scene.pass_time(600.0)
    pages = [page.policy for page in scene.cloud.watch.monitoring.pages]
    scene.holds("ten minutes alone wake nobody", not pages, pages)


DRILL = Drill("Cloud Scheduler is paused.", run, fires={"sweep-stopped": 1800.0})
