"""What `rtmskit events replay --json` prints, as types."""

from __future__ import annotations

from rtms_simulator.control.answers import Strict


class Replayed(Strict, frozen=True, kw_only=True):
    """One delivery that was sent again. `id`: its number in the running `up`, null of a file; `statuses`: one for each request."""

    id: str | None
    event: str
    outcome: str
    statuses: list[int | None]


class ReplayedStory(Strict, frozen=True, kw_only=True):
    """Each request of a story, in its order."""

    requests: list[Replayed]
