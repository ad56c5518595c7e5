"""A person or program that is a configured caller reads the recordings from outside, and does nothing else."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene

READER = "reader@acme-tools.iam.gserviceaccount.com"


async def run(scene: Scene) -> None:
    read = (await scene.asked("worker", "GET", "/handoffs", READER)).status
    scene.holds("the configured caller lists the hand-offs from the internet", read == 200, read)
    for path in ("/sweep", "/events", "/retrieve"):
        status = (await scene.asked("worker", "POST", path, READER)).status
        scene.holds(f"and may not call {path}", status == 403, status)
    stranger = await scene.asked("worker", "GET", "/handoffs", "stranger@acme-tools.iam.gserviceaccount.com")
    scene.holds("another identity is refused at the door", stranger.status == 403 and not stranger.reached, stranger.status)


DRILL = Drill(
    "A configured caller reads what is on record, and tries more.",
    run,
    may=frozenset({"worker-refuses"}),
    keys={"workerCallers": [f"serviceAccount:{READER}"]},
)
