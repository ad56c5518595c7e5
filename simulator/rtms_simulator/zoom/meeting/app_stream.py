"""One app's part in a meeting."""

from __future__ import annotations

from dataclasses import dataclass

from rtms_simulator.zoom.app import ZoomApp
from rtms_simulator.zoom.rtms.stream import LiveStream
from rtms_simulator.zoom.webhooks.events import StreamIds
from rtms_simulator.zoom.webhooks.sender import EventSubscription


@dataclass(slots=True, kw_only=True)
class AppStream:
    """One app's stream in a meeting, over all its servers."""

    live: LiveStream
    app: ZoomApp
    endpoint: EventSubscription
    ids: StreamIds
    paths: str
    server_urls: list[str]
