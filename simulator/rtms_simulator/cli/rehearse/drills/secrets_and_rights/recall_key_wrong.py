"""Recall refuses the API key: the worker goes on trying while the stream can be joined, and somebody is woken at once."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.cli.rehearse.local_cloud import Vendors


async def run(scene: Scene) -> None:
    meeting = scene.begin()
    await scene.soon("the worker tries again after 5 s", lambda: len(scene.events("attempt", status=401)) >= 2)
    scene.holds("nothing is accepted", scene.accepted() == 0)
    await meeting.aclose()


DRILL = Drill(
    "Recall's API key is not the deployed one.",
    run,
    fires={"recall-refuses": 60.0},
    vendors=Vendors(api_key="thekeythatrecallknows00000000000000000000"),
)
