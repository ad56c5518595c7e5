"""What one Recall workspace holds: MDCs, recordings, artifacts and real-time endpoints, and how lists of them are cut into pages."""

from __future__ import annotations

import base64
import binascii
import random
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rtms_simulator.errors import CursorError
from rtms_simulator.recall.recorder.values import FirstPacket, Joined, Part, Paused, RecordingResult, Resumed

SHORTCUT_KINDS = ("audio_mixed", "meeting_metadata", "participant_events", "transcript", "video_mixed")
ARTIFACT_KINDS = (*SHORTCUT_KINDS, "audio_separate", "video_separate")

Progress = Joined | FirstPacket | Paused | Resumed | RecordingResult
"""One step of an MDC that its recorder has made: what becomes visible with it follows from the value."""


@dataclass(slots=True)
class Status:
    """`code` is a state of recall/records/tables.py; `updated_at` in seconds since the epoch."""

    code: str
    updated_at: float
    sub_code: str | None = None


@dataclass(slots=True)
class Artifact:
    """One artifact of a recording. `files` maps a link's file name to what it serves; `parts` belong to separate media."""

    seq: int
    id: str
    kind: str
    recording_id: str
    created_at: float
    status: Status
    metadata: dict[str, str | None] = field(default_factory=dict)
    format: str = "json"
    files: dict[str, Path] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    provider: dict[str, Any] | None = None
    diarization: dict[str, Any] | None = None


@dataclass(slots=True)
class RealtimeEndpoint:
    """One entry of recording_config.realtime_endpoints, as a resource."""

    seq: int
    id: str
    recording_id: str
    created_at: float
    status: Status
    type: str
    url: str
    events: tuple[str, ...]
    metadata: dict[str, str | None]


@dataclass(slots=True)
class Recording:
    """One recording. `spoken` is the recorded transcript kept for create_transcript, wanted as an artifact or not."""

    seq: int
    id: str
    mdc_id: str
    created_at: float
    status: Status
    metadata: dict[str, str | None]
    directory: Path
    retention: Mapping[str, Any] | None
    announced: bool = False
    started_at: float | None = None
    completed_at: float | None = None
    expires_at: float | None = None
    spoken: Path | None = None
    artifacts: list[Artifact] = field(default_factory=list)
    endpoints: list[RealtimeEndpoint] = field(default_factory=list)


@dataclass(slots=True)
class Mdc:
    """One Meeting Direct Connect. `waiting`: steps that its recorder has made and that are not visible yet (switch `progression`).

    `recording` is made with the MDC and visible once it is in `Workspace.recordings`. `left_for`: the sub_code of a recorder that was
    asked to leave. `streaming`: real-time endpoints were started.
    """

    seq: int
    id: str
    created_at: float
    status: Status
    body: Mapping[str, Any]
    recording: Recording | None = None
    changes: list[Status] = field(default_factory=list)
    waiting: deque[Progress] = field(default_factory=deque)
    polls: int = 0
    left_for: str | None = None
    streaming: bool = False

    @property
    def stream_id(self) -> str | None:
        """The `rtms_stream_id`, unless it is a Google Meet."""
        return (self.body.get("zoom_rtms") or {}).get("rtms_stream_id")


class Numbered(Protocol):
    """What a list is made of: things with their place in the order of creation."""

    @property
    def seq(self) -> int: ...


T = TypeVar("T", bound=Numbered)


@dataclass(slots=True)
class Workspace:
    """Every MDC, and every recording that is visible, by id and in order of creation. Artifacts and real-time endpoints belong to them.

    Ids come from `randomness`, so one seed gives the same ids.
    """

    randomness: random.Random
    id: str = ""
    mdcs: dict[str, Mdc] = field(default_factory=dict)
    recordings: dict[str, Recording] = field(default_factory=dict)
    _seq: int = 0

    def __post_init__(self) -> None:
        self.id = self.new_id()

    def new_id(self) -> str:
        return str(uuid.UUID(int=self.randomness.getrandbits(128), version=4))

    def next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def artifacts(self) -> Iterator[Artifact]:
        """The artifacts of every visible recording."""
        return (artifact for recording in self.recordings.values() for artifact in recording.artifacts)

    def endpoints(self) -> Iterator[RealtimeEndpoint]:
        """The real-time endpoints of every visible recording."""
        return (endpoint for recording in self.recordings.values() for endpoint in recording.endpoints)

    def visible_recording(self, mdc: Mdc) -> Recording | None:
        """The MDC's recording, once it may be seen."""
        return None if mdc.recording is None else self.recordings.get(mdc.recording.id)

    def restart(self) -> None:
        """Forget every object. With `randomness` seeded as before, the same ids come again."""
        self.mdcs.clear()
        self.recordings.clear()
        self._seq = 0
        self.id = self.new_id()


def page(objects: Iterable[T], cursor: str | None, size: int) -> tuple[Sequence[T], str | None, str | None]:
    """One page, newest first, and the cursors of the next and the previous page. Raises CursorError.

    A cursor holds a place in the order, not an index, so objects that come or go meanwhile neither repeat nor hide others.
    """
    ordered = sorted(objects, key=lambda thing: -thing.seq)
    forward, place = _read_cursor(cursor) if cursor else (True, None)
    if place is None:
        items = ordered[:size]
    elif forward:
        items = [thing for thing in ordered if thing.seq < place][:size]
    else:
        items = [thing for thing in ordered if thing.seq > place][-size:]
    if not items:
        return items, None, None
    further = _cursor("next", items[-1].seq) if ordered[-1].seq < items[-1].seq else None
    back = _cursor("prev", items[0].seq) if ordered[0].seq > items[0].seq else None
    return items, further, back


def _cursor(direction: str, place: int) -> str:
    return base64.urlsafe_b64encode(f"{direction}:{place}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[bool, int]:
    try:
        direction, _, place = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().partition(":")
        if direction not in ("next", "prev") or not (place.isascii() and place.isdigit()):
            raise ValueError(cursor)
        return direction == "next", int(place)
    except (ValueError, binascii.Error):
        raise CursorError("Invalid cursor") from None
