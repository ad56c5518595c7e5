"""A second `pulumi up` without any change changes nothing."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    first = await scene.program.carry("up")
    scene.holds("the first `up` ends without an error", not first.errors, "; ".join(first.errors))
    second = await scene.program.carry("up", first.world)
    scene.holds("the second one changes nothing", not second.changed and not second.errors, ", ".join([*second.changed, *second.errors]))


DRILL = Drill("`pulumi up` runs twice.", run, deployed=False)
