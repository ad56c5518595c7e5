"""How the ids of the fakes hang together: stream to meeting, Meeting Direct Connect to stream, recording to Meeting Direct Connect."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from rtms_simulator.recall.records.workspace import Mdc

_STREAM = re.compile(r"[0-9a-f]{32}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Link:
    """What something is about; None where that is not known."""

    meeting: int | None = None
    stream: str | None = None
    mdc: str | None = None
    recording: str | None = None


@dataclass(frozen=True, slots=True)
class Links:
    """Stream to meeting, MDC to stream, recording to MDC."""

    meetings: Mapping[str, int]
    mdc_streams: Mapping[str, str | None]
    recordings: Mapping[str, str]

    def of_stream(self, stream: str | None, mdc: str | None = None, recording: str | None = None) -> Link:
        return Link(self.meetings.get(stream or ""), stream, mdc, recording)

    def of_mdc(self, mdc: Mdc) -> Link:
        return self.of_stream(mdc.stream_id, mdc.id)

    def in_text(self, *texts: str) -> Link:
        """The first recording, MDC or stream that a text names."""
        for text in texts:
            for identity in _UUID.findall(text):
                mdc = self.recordings.get(identity, identity)
                if mdc in self.mdc_streams:
                    return self.of_stream(self.mdc_streams[mdc], mdc, identity if identity in self.recordings else None)
        for text in texts:
            for stream in _STREAM.findall(text):
                if stream in self.meetings or stream in self.mdc_streams.values():
                    mdc = next((one for one, its in self.mdc_streams.items() if its == stream), None)
                    return self.of_stream(stream, mdc)
        return Link()
