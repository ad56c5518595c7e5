"""`pulumi up` is right in the end, though new APIs are not in force at once; one more without any change changes nothing."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene

TIMES, MINUTE_S = 4, 60.0
"""docs/traps.md: "`pulumi up` again, up to four times"."""


async def run(scene: Scene) -> None:
    late = scene.propagation_s
    first = await scene.program.carry("up", api_delay_s=late)
    errors = "; ".join(first.errors)
    if late:
        scene.holds("the first `up` says which API is not in force yet", not errors or "has not been used" in errors, errors)
    for _ in range(TIMES - 1 if late else 0):
        if first.errors:
            first = await scene.program.carry("up", first.world, after_s=max(late / (TIMES - 2), MINUTE_S), api_delay_s=late)
    scene.holds(
        f"`up` ends without an error, {f'the {TIMES}th time at the latest' if late else 'the first time'}", not first.errors, errors
    )
    second = await scene.program.carry("up", first.world)
    scene.holds("one more changes nothing", not second.changed and not second.errors, ", ".join([*second.changed, *second.errors]))


DRILL = Drill("`pulumi up` runs again.", run, deployed=False)
