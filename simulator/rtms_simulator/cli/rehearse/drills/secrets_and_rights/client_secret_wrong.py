"""The Zoom client secret is another than Zoom's: nobody can join, and the alert says so when the stream ends."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.cli.rehearse.local_cloud import Vendors


async def run(scene: Scene) -> None:
    meeting = scene.begin(speed=4.0)
    await scene.soon("Recall accepts the hand-off all the same", lambda: scene.accepted() == 1)
    # Zoom waits a minute for somebody who can join.
    await scene.until(scene.recall_ended)
    await scene.cloud.vendors_clock.run_ahead(70.0)
    report = await meeting.finished()
    scene.holds("nobody joins the stream", not report.joined)
    await scene.soon("the worker notes that nobody joined", lambda: scene.events("not_joined"))
    reasons = [line.get("reason", "") for line in scene.events("not_joined")]
    scene.holds("and names the client secret", any("ZOOM_CLIENT_SECRET" in reason for reason in reasons), "; ".join(reasons))


DRILL = Drill(
    "Zoom's client secret is not the deployed one.",
    run,
    fires={"lost": 120.0},
    may=frozenset({"recording-lost"}),
    vendors=Vendors(client_secret="the-secret-that-zoom-knows"),  # noqa: S106  # made up
)
