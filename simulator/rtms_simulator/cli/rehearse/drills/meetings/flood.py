"""2,000 meetings end in the minute in which 50 others begin: no start waits for the ends, and nothing is lost.

One machine plays every part, so Recall's endpoint has only the events ticked that tell of an ended recording.
"""

from dataclasses import replace

import msgspec

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.cli.rehearse.local_cloud import Vendors
from rtms_simulator.kit.rush import PROMPT_S, Crowd
from rtms_simulator.recall.switches import RateLimits

ENDING, BEGINNING = 2_000, 50


async def run(scene: Scene) -> None:
    async with scene.cloud.crowd() as crowd:
        rush = await crowd.rush(ENDING, BEGINNING, go_by=lambda: _late_copies_go(scene, crowd))
    scene.holds(f"the {ENDING:,} meetings that end were handed on before", rush.before == ENDING, rush.before)
    scene.holds("every acknowledged start is accepted", not rush.never, f"{rush.never} are not")
    slowest = max([*rush.waits_before_s, *rush.waits_s], default=0.0)
    what = f"each start is accepted within {PROMPT_S:g} s of its acknowledgement"
    scene.holds(what, slowest < PROMPT_S, f"the slowest after {slowest:.1f} s")
    scene.holds("no delivery is refused", not rush.refused, f"{rush.refused} are")
    limited = scene.events("retrieval", status=429)
    scene.holds("Recall's limits are kept", not limited, f"{len(limited)} looks are answered 429")
    await nothing_is_lost(scene, crowd)


def _late_copies_go(scene: Scene, crowd: Crowd) -> None:
    """The meetings that are to end begin twenty times as fast as Recall lets them. So many second copies, each due five seconds later, are
    more than `queue-depth` allows: those of accepted starts go at once, as if that time had passed."""
    second = scene.handoff_paths()[1]
    accepted = crowd.accepted()
    for task in scene.cloud.tasks.tasks(live=True):
        if task.name.startswith(f"{second}/") and msgspec.json.decode(task.body, type=_Copy).stream_id in accepted:
            scene.cloud.tasks.run(task.name)


class _Copy(msgspec.Struct):
    stream_id: str


async def nothing_is_lost(scene: Scene, crowd: Crowd) -> None:
    """Each ended meeting's recording has been found, or a look for it waits in the queue, which works them off at the registered rate.

    Recall's own clock stays in real time while Google's runs ahead, so that from here on it has no limits.
    """
    recall = scene.cloud.recall
    recall.switches = replace(recall.switches, limits=RateLimits.off())
    facts, looks = (scene.cloud.variable("worker", f"{name}_QUEUE") for name in ("FACTS", "RETRIEVAL"))
    await scene.soon("every end is noted", lambda: not scene.cloud.tasks.depths()[facts])
    before = len(scene.done())
    await scene.pass_time(10.0)
    scene.holds("the looks go on", len(scene.done()) > before or len(scene.done()) >= ENDING, f"{before} before, {len(scene.done())} now")
    waiting = " ".join(task.body for task in scene.cloud.tasks.tasks(live=True) if task.name.startswith(f"{looks}/"))
    ended = {line["handoff"] for line in scene.events("handoff_accepted") if line.get("rtms_stream_id") in crowd.ended}
    lost = [handoff for handoff in ended - scene.done() if handoff not in waiting]
    scene.holds(
        "each ended meeting's recording is found, or a look for it waits", len(ended) == ENDING and not lost, f"{len(lost)} are lost"
    )


DRILL = Drill(
    f"{ENDING:,} meetings end in the minute in which {BEGINNING} others begin.",
    run,
    vendors=Vendors(crowd=True, ticked=frozenset({"recording.done", "recording.failed"})),
    # With all of this on two cores the emulator may take longer than 2 s for a note. Starts are handed on without it, and judged above.
    may=frozenset({"store-away"}),
    alone=True,
)
