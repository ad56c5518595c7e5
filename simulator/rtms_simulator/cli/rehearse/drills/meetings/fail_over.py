"""The RTMS server dies: a second start names other servers for the same stream, and is handed on as well."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    report = await scene.meeting("server-fail-over", speed=1.0)
    await scene.soon("both starts are handed on", lambda: scene.accepted() == 2)
    scene.holds("Recall joins the stream", report.joined)
    await scene.soon_as_due("a recording is found done", lambda: scene.events("retrieval", state="done"))
    created = len(scene.events("handoff_created"))
    scene.holds("two hand-offs were made, no more", created == 2, created)


DRILL = Drill("The RTMS server dies in the middle of a sentence.", run, may=frozenset({"recording-lost"}))
