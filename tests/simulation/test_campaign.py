"""The relay in a hostile world: nothing lost, nothing doubled, nobody let in, nothing kept that must go, no secret told (G1 to G8)."""

from pathlib import Path
from typing import Any

import pytest

from tests.simulation.campaign import campaign
from tests.simulation.relay_world import run
from tests.simulation.stories import read, replay, shortest, write
from tests.simulation.weather import CALM, HOSTILE

DELIVERIES = 100_000
"""A slice of `make simulate`, which takes as many seeds as it is given."""


@pytest.mark.once
@pytest.mark.timeout(1_200)
def test_a_hundred_thousand_hostile_deliveries_lose_and_double_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    *_, figures = campaign(0, 100_000, jobs=2, deliveries=DELIVERIES)
    with capsys.disabled():
        print(f"\n{figures.report()}")  # the figures are the point
    assert figures.broken == []
    assert (figures.lost, figures.late, figures.doubled, figures.foreign) == (0, 0, 0, 0)
    assert figures.deliveries >= DELIVERIES
    assert figures.unmet == []


@pytest.mark.parametrize("seed", range(3))
def test_one_seed_is_one_life_byte_for_byte(seed: int) -> None:
    assert run(seed, streams=6).story() == run(seed, streams=6).story()


@pytest.mark.parametrize("seed", range(5))
def test_in_a_calm_world_every_newest_start_in_time_is_accepted(seed: int) -> None:
    """Without faults only Zoom's own order of things is left: nothing fails, and what expires arrived too late."""
    finished = run(seed, weather=CALM)
    assert finished.verdict.broken == []
    assert not {"failed"} & set(finished.verdict.outcomes)
    assert finished.verdict.outcomes["accepted"] > 0


@pytest.mark.once
def test_a_story_survives_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken promise (here: two MDCs, since a careless Recall forgets its keys) is shrunk, saved, and breaks again when replayed."""
    from tests.simulation.far_side import RecallModel

    class Forgetful(dict[str, object]):
        def get(self, key: object, default: object = None, /) -> Any:
            return default

    careful = RecallModel.__init__

    def careless(self: RecallModel, *args: object, **kwargs: object) -> None:
        careful(self, *args, **kwargs)  # ty: ignore[invalid-argument-type]
        self.answers = Forgetful()  # ty: ignore[invalid-assignment]

    monkeypatch.setattr(RecallModel, "__init__", careless)
    seed = next(seed for seed in range(50) if run(seed, streams=24).verdict.doubled)
    story = shortest(seed, budget_s=40)  # wall clock: it ends sooner where nothing shrinks any more
    assert len({event.stream for event in story.plan.events}) == 1
    assert len(story.told.splitlines()) < len(run(seed, streams=24).story().splitlines()) / 4
    write(story, tmp_path / "story.json")
    again = replay(read(tmp_path / "story.json"))
    assert again.verdict.doubled
    assert again.story() == story.told


def test_hostile_means_every_fault_is_possible() -> None:
    assert all(rate > 0 for rate in HOSTILE.faults.values())
    assert HOSTILE.crash_rate > 0
