"""Meetings that nobody joins: once nothing is outstanding that could lead to it, the fakes' clock runs ahead to their ends."""

from __future__ import annotations

from collections.abc import Callable

from rtms_simulator.clock import TOLERATED_S, Clock
from rtms_simulator.zoom.fake import Zoom

PATIENCE_S = 5.0
"""For how long, in real seconds, nothing may have happened: a receiver may work on after its answer."""

_LATER = 0.2
"""The part of that which is enough once the clock has run: what wakes up then, such as Recall's next try to join, acts at once."""

_LONGEST_STEP_S = 60.0

Life = Callable[[], object]
"""A value that changes whenever somebody does something at another fake than Zoom: asks Recall, answers a task."""


class Unattended:
    """Looks after the meetings of a Zoom. `patience_s` in real seconds."""

    def __init__(self, zoom: Zoom, real_time: Clock, life: Life, patience_s: float) -> None:
        self._zoom = zoom
        self._real_time = real_time
        self._life = life
        self._patience_s = patience_s
        self._seen: object = None
        self._since = real_time.now()
        self._told = ""
        self._ran = False

    async def look(self) -> None:
        """Go on to the next moment of the fakes' clock if nothing is outstanding, and again until somebody does something."""
        if not self._nothing_outstanding():
            return
        if not self._may_step():
            self._tell(
                "nobody joins; the fakes' clock is minutes ahead of real time already and is not moved (`rtmskit reset` brings it back)"
            )
            return
        self._tell("nobody joins and nothing is outstanding: the fakes' clock runs ahead")
        for meeting in self._zoom.meetings.values():
            if meeting.unattended:
                meeting.go_on_alone()
        if not self._ran:
            self._ran, self._patience_s = True, self._patience_s * _LATER
        while self._nothing_outstanding() and self._may_step():
            await self._zoom.clock.step_ahead(_LONGEST_STEP_S)

    def _tell(self, what: str) -> None:
        """Once, on the timeline of each meeting."""
        if what != self._told:
            self._told = what
            for meeting in self._zoom.meetings.values():
                if meeting.unattended:
                    meeting.note(what)

    def _nothing_outstanding(self) -> bool:
        now = self._real_time.now()
        activity = (self._zoom.connections_seen, self._zoom.webhooks.requests_made, self._life())
        if activity != self._seen or self._zoom.clock.calls_open or not self._all_unattended():
            self._seen, self._since = activity, now
            return False
        return now - self._since >= self._patience_s

    def _all_unattended(self) -> bool:
        running = [meeting for meeting in self._zoom.meetings.values() if meeting.ended_at is None]
        return self._zoom.clock.rate > 0 and bool(running) and all(meeting.unattended for meeting in running)

    def _may_step(self) -> bool:
        """A step that would cross what receivers tolerate is not made: later meetings would fail because of it."""
        ahead_s = self._zoom.clock.now() - self._real_time.now()
        return not ahead_s <= TOLERATED_S < ahead_s + _LONGEST_STEP_S
