"""Zoom as a faithful fake: signed webhooks, RTMS WebSocket servers, whole meetings."""

from typing import TYPE_CHECKING

from rtms_simulator.packaging.public_face import exported

if TYPE_CHECKING:
    from rtms_simulator.zoom.app import ZoomApp
    from rtms_simulator.zoom.fake import Zoom
    from rtms_simulator.zoom.meeting.report import MeetingReport, StreamReport
    from rtms_simulator.zoom.tls import Tls

__all__ = ["MeetingReport", "StreamReport", "Tls", "Zoom", "ZoomApp"]

__getattr__ = exported(
    __name__, {"MeetingReport": "meeting.report", "StreamReport": "meeting.report", "Tls": "tls", "Zoom": "fake", "ZoomApp": "app"}
)
