"""Individual video (data_opt 4): which participant each video connection carries. Pure.

V1: one participant at a time, a new subscription replaces the old (documented). V2's preview: one connection per participant, four at most
(`ZoomSwitches.individual_video_streams`). Inferred: a subscription ends with its connection, and without a connection it is status 29.
"""

from __future__ import annotations

from collections.abc import Sequence

from rtms_simulator.zoom.rtms.enums import StatusCode


class VideoSubscriptions:
    """`selected` maps a video connection to the participant on it, the oldest subscription first."""

    def __init__(self) -> None:
        self.selected: dict[int, int] = {}

    def status(self, user_id: object, subscribe: object, connections: Sequence[int]) -> StatusCode:
        """What message 29 answers. `connections` are those with individual video."""
        if type(user_id) is not int or not 0 <= user_id < 2**32 or type(subscribe) is not bool:
            return StatusCode.INVALID_PAYLOAD
        if not connections:
            return StatusCode.INVALID_MEDIA_VIDEO_DATA_OPT
        return StatusCode.DUPLICATE_VIDEO_SUBSCRIPTION if subscribe and user_id in self.selected.values() else StatusCode.OK

    def subscribe(self, user_id: int, connections: Sequence[int]) -> int:
        """Put a participant on a free connection, else in the place of the oldest one. Returns the connection."""
        free = next((conn for conn in connections if conn not in self.selected), None)
        conn = next(iter(self.selected)) if free is None else free
        self.selected.pop(conn, None)
        self.selected[conn] = user_id
        return conn

    def unsubscribe(self, user_id: int) -> int | None:
        """The connection that carries nobody from now on; None if that participant was on none."""
        conn = next((conn for conn, selected in self.selected.items() if selected == user_id), None)
        if conn is not None:
            del self.selected[conn]
        return conn

    def forget(self, conn: int) -> None:
        """The connection is gone."""
        self.selected.pop(conn, None)

    def clear(self) -> None:
        self.selected.clear()
