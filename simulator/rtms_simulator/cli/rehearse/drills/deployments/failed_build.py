"""New code does not build: the old code runs on, `pulumi up` says which function and what to do, and another build mends it."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene

FAILURE = {"verb": "build", "what": "*/functions/*", "sentence": "pip could not install a package", "times": 2}


async def run(scene: Scene) -> None:
    first = await scene.program.carry("up")
    with scene.new_code():
        failed = await scene.program.carry("up", first.world, failures=[FAILURE])
        told = "; ".join(failed.errors)
        scene.holds("`up` fails and names the function", "functions/" in told and "the build failed" in told, told)
        report = await scene.meeting()
        await scene.accepted_and_recorded(report)
        mended = await scene.program.carry("up", failed.world, redeploy="again")
        scene.holds("another build mends it", not mended.errors and {"webhook", "worker"} <= set(mended.changed), "; ".join(mended.errors))


DRILL = Drill("A build of new code fails while meetings go on.", run)
