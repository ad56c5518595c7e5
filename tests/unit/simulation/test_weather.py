"""The weather of a seed: every kind of trouble is drawn, alone and with others; each fault has its part; every run heals."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.simulation.relay_world import run
from tests.simulation.weather import CALM, HARMLESS, HOSTILE, KINDS, Outage, Part, Weather, draw, part_of

HOUR_MS = 3_600_000


def test_every_fault_has_a_part_or_is_harmless() -> None:
    assert all((part_of(label) is None) == (label in HARMLESS) for label in HOSTILE.faults)
    assert {part_of(label) for label in HOSTILE.faults} - {None} == {"store", "home", "second", "recall"}


def test_every_kind_of_weather_and_of_outage_is_drawn() -> None:
    drawn = [draw(seed) for seed in range(2_000)]
    assert {weather.kind for weather in drawn} == {"calm", "swarm", *KINDS} - {"cloud run"}
    kinds = Counter((outage.part, outage.kind) for weather in drawn for outage in weather.outages)
    assert set(kinds) == {(part, kind) for part in KINDS for kind in KINDS[part]}
    lengths = [outage.end_ms - outage.begin_ms for weather in drawn for outage in weather.outages]
    assert min(lengths) < 2_000 < HOUR_MS < max(lengths)


def test_trouble_with_one_part_is_trouble_with_no_other() -> None:
    for weather in (draw(seed) for seed in range(500)):
        if weather.kind in KINDS:
            assert {part_of(label) for label in weather.chances.faults} <= {None, weather.kind}
            assert {outage.part for outage in weather.outages} <= {weather.kind}
            assert not weather.chances.crash_rate or weather.chances.crash_of == (weather.kind,)


def test_a_swarm_has_none_of_some_faults_and_much_of_others() -> None:
    swarms = [weather for weather in (draw(seed) for seed in range(300)) if weather.kind == "swarm"]
    for label in HOSTILE.faults:
        rates = {weather.chances.faults.get(label, 0.0) for weather in swarms}
        assert {0.0, min(0.5, HOSTILE.faults[label] * 3)} <= rates


def test_every_outage_is_over_when_a_run_heals() -> None:
    for weather in (draw(seed) for seed in range(500)):
        assert all(0 <= outage.begin_ms <= outage.end_ms <= weather.heal_ms for outage in weather.outages)


def test_after_its_healing_nothing_fails() -> None:
    weather = Weather("swarm", HOSTILE, heal_ms=120_000)
    finished = run(3, streams=6, weather=weather)
    [healed] = [event.at_ms for event in finished.world.history if event.what == "healed"]
    troubles = [event.at_ms for event in finished.world.history if event.who == "fault" or event.what == "crash"]
    assert troubles
    assert max(troubles) <= healed < finished.world.now_ms


@pytest.mark.parametrize(("part", "kind"), [(part, kind) for part in KINDS for kind in KINDS[part]])
def test_each_outage_is_noted_and_one_breaks_no_promise(part: Part, kind: str) -> None:
    queues = {"home": "handoffs", "second": "handoffs-second"}
    queue = queues[part] if kind in ("paused", "asleep", "ramps up") else ""
    finished = run(5, streams=4, weather=Weather(part, CALM.chances, (Outage(part, kind, 0, 1_800_000, queue),)))
    assert finished.verdict.broken == []
    noted = [(event.what, event.facts["kind"]) for event in finished.world.history if event.who == "outage"]
    assert noted == [(part, kind)]
