"""A failing seed made small: fewer streams, fewer events, fewer kinds of fault, as long as some promise still breaks.

A story is a file: its plan, its chances and its seed replay the run exactly (`replay`), and its requests can be sent to any
receiver (`rtmskit events replay FILE`).
"""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.far_side import SECRET_TOKEN, ZoomEvent, sign
from tests.simulation.relay_world import Plan, Run, plan, run
from tests.simulation.weather import Outage, Weather, draw
from tests.simulation.world import Chances

START_MS = 1_700_000_000_000
TRIES = 25
"""Seeds tried for each smaller plan: a smaller world draws differently, so the bug needs another chance to show."""


@dataclass(frozen=True, slots=True)
class Story:
    """A run that breaks a promise: everything needed to play it again, and what it looked like."""

    seed: int
    plan: Plan
    weather: Weather
    broken: tuple[str, ...]
    told: str


def replay(story: Story) -> Run:
    """Play a story again."""
    return run(story.seed, plan_of=story.plan, weather=story.weather)


def shortest(seed: int, *, streams: int = 24, budget_s: float = 60.0) -> Story:
    """The smallest failing run found around a failing seed within the budget. Raises ValueError if the seed does not fail."""
    script = plan(Random(f"plan {seed}"), START_MS, streams)
    best = _fails(seed, script, draw(seed))
    if best is None:
        raise ValueError(f"seed {seed} breaks no promise")
    until = time.monotonic() + budget_s
    shrunk = True
    while shrunk and time.monotonic() < until:
        shrunk = False
        for smaller_plan, smaller_weather in _smaller(best):
            found = next((story for k in range(TRIES) if (story := _fails(best.seed + k, smaller_plan, smaller_weather)) is not None), None)
            if found is not None:
                best, shrunk = found, True
                break
            if time.monotonic() >= until:
                break
    return best


def _fails(seed: int, script: Plan, weather: Weather) -> Story | None:
    finished = run(seed, plan_of=script, weather=weather)
    if not finished.verdict.broken:
        return None
    return Story(seed, script, weather, tuple(finished.verdict.broken), finished.story())


def _smaller(story: Story) -> Iterator[tuple[Plan, Weather]]:
    events, ends, weather = story.plan.events, story.plan.ends, story.weather
    streams = sorted({event.stream for event in events})
    if len(streams) > 1:
        for stream in streams:
            yield Plan([event for event in events if event.stream == stream], ends), weather
    for milder in _milder(weather):
        yield story.plan, milder
    for index, event in enumerate(events):
        yield Plan([*events[:index], *events[index + 1 :]], ends), weather
        for plainer in _plainer(event):
            yield Plan([*events[:index], plainer, *events[index + 1 :]], ends), weather


def _milder(weather: Weather) -> Iterator[Weather]:
    """Without one of its faults, its crashes, one of its outages."""
    chances = weather.chances
    for fault in chances.faults:
        fewer = {name: rate for name, rate in chances.faults.items() if name != fault}
        yield dataclasses.replace(weather, chances=dataclasses.replace(chances, faults=fewer))
    if chances.crash_rate:
        yield dataclasses.replace(weather, chances=dataclasses.replace(chances, crash_rate=0.0))
    for outage in weather.outages:
        yield dataclasses.replace(weather, outages=tuple(other for other in weather.outages if other is not outage))


def _plainer(event: ZoomEvent) -> Iterator[ZoomEvent]:
    """All that surrounds an event taken away, then each kind of it alone, then half of it."""
    nothing: dict[str, Any] = {"copies": 1, "replays": 0, "forgeries": 0, "late_ms": 0.0}
    half = {"copies": (event.copies + 1) // 2, "replays": event.replays // 2, "forgeries": event.forgeries // 2}
    steps = [nothing, *({name: value} for name, value in nothing.items()), *({name: value} for name, value in half.items())]
    seen = {event}
    for step in steps:
        plainer = dataclasses.replace(event, **step)
        if plainer not in seen:
            seen.add(plainer)
            yield plainer


def write(story: Story, path: Path) -> None:
    """Save a story. Its `requests` are what Zoom sent, signed, in the order of their times."""
    document = {
        "seed": story.seed,
        "broken": list(story.broken),
        "weather": dataclasses.asdict(story.weather),
        "ends": story.plan.ends,
        "events": [{**dataclasses.asdict(event), "body": event.body.decode()} for event in story.plan.events],
        "requests": [_request(event) for event in sorted(story.plan.events, key=lambda event: event.event_ts)],
        "told": story.told.splitlines(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False), encoding="utf-8")


def _request(event: ZoomEvent) -> dict[str, Any]:
    headers = sign(event.body, event.event_ts // 1000, SECRET_TOKEN if event.authentic else "not the secret")
    return {"at_ms": event.event_ts, "headers": headers, "body": event.body.decode()}


def read(path: Path) -> Story:
    """Load what `write` saved."""
    document = json.loads(path.read_text(encoding="utf-8"))
    weather = document["weather"]
    chances = weather.pop("chances")
    chances["delays"] = {label: (low, high) for label, (low, high) in chances["delays"].items()}
    for name in ("default_delay", "crash_of"):
        chances[name] = tuple(chances[name])
    outages = tuple(Outage(**outage) for outage in weather.pop("outages"))
    return Story(
        seed=document["seed"],
        plan=Plan([ZoomEvent(**{**event, "body": event["body"].encode()}) for event in document["events"]], document["ends"]),
        weather=Weather(**weather, chances=Chances(**chances), outages=outages),
        broken=tuple(document["broken"]),
        told="\n".join(document["told"]),
    )
