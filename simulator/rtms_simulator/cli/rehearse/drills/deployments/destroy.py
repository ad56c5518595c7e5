"""`pulumi destroy` is refused while the deployment is protected, and then removes everything that it may."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene

QUEUES = ["queue-facts", "queue-handoffs", "queue-handoffs-second", "queue-retrievals"]


async def run(scene: Scene) -> None:
    first = await scene.program.carry("up", protect=True)
    scene.holds("`up` ends without an error", not first.errors, "; ".join(first.errors))
    refused = await scene.program.carry("destroy", first.world, protect=True)
    refusals = refused.of("refuse")
    # The archive is protected, too; Pulumi does not come to it, because the database was made after it and stays.
    scene.holds("`destroy` is refused: database and queues are protected", refusals == ["database", *QUEUES], refusals)
    scene.holds("and deletes nothing", not refused.of("delete"), refused.of("delete"))
    lifted = await scene.program.carry("up", first.world, protect=False)
    gone = await scene.program.carry("destroy", lifted.world, protect=False)
    scene.holds("without protection it is done", not gone.errors, "; ".join(gone.errors))


DRILL = Drill("`pulumi destroy` is tried with protection, then without.", run, deployed=False)
