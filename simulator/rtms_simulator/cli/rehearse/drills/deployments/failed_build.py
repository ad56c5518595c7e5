"""New code does not build: the old code runs on, `pulumi up` and then the doctor say so, and another build mends it."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene

FAILURE = {"verb": "build", "what": "*/functions/*", "sentence": "pip could not install a package", "times": 2}


async def run(scene: Scene) -> None:
    await scene.up()
    old = scene.code_hash()
    with scene.new_code():
        failed = await scene.up(failures=[FAILURE])
        errors = "; ".join(failed.errors)
        scene.holds("`up` fails and names the function", "functions/" in errors and "the build failed" in errors, errors)
        await scene.accepted_and_recorded(await scene.meeting())
        await scene.holds_code("the old code runs on", {old})
        # Pulumi's state has the new arguments all the same, so this builds nothing: only the hash of the code tells.
        again = await scene.up()
        new = str(again.deployed.registered.outputs.get("codeHash"))
        scene.holds("one more `up` has the new `codeHash`, with which `rtmskit doctor --code` compares", new != old, new)
        await scene.holds_code("though the old code runs on", {old})
        mended = await scene.up(redeploy="again")
        scene.holds("another build mends it", not mended.errors, "; ".join(mended.errors))
        await scene.holds_code("and the new code runs", {new})


DRILL = Drill("A build of new code fails, and meetings go on.", run)
