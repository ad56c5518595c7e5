"""The moments of a meeting in which a stream was paused. Pure.

A packet belongs to the moment it was made, not to the moment it is sent: sound of a pause that is still in a buffer afterwards is not sent.
"""

from __future__ import annotations


class Pauses:
    """Intervals in milliseconds of the meeting: after `begin`, up to and including `end`."""

    def __init__(self) -> None:
        self._over: list[tuple[int, int]] = []
        self._since: int | None = None

    def begin(self, at_ms: int) -> None:
        """A second one changes nothing."""
        if self._since is None:
            self._since = at_ms

    def end(self, at_ms: int) -> None:
        if self._since is not None:
            self._over.append((self._since, at_ms))
            self._since = None

    def cover(self, at_ms: int) -> bool:
        """Whether the stream was, or is, paused at that moment."""
        if self._since is not None and at_ms > self._since:
            return True
        return any(begin < at_ms <= end for begin, end in self._over)
