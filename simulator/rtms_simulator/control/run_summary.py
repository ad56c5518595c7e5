"""What `rtmskit demo --json` prints: one meeting from its start to the downloaded recording, as types.

Times are milliseconds since the meeting's start unless a name says otherwise.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from rtms_simulator.control.answers import Strict


class RunIds(Strict, frozen=True, kw_only=True):
    """The ids under which Zoom, the function and Recall know the meeting. `artifacts`: Recall's ids by name."""

    meeting_uuid: str
    rtms_stream_id: str
    handoff: str
    meeting_direct_connect: str | None
    recording: str
    artifacts: dict[str, str]


class RunTimes(Strict, frozen=True, kw_only=True):
    """When each step was done; `demo` says what each means."""

    started: int
    acked: int
    accepted: int
    joined: int
    stopped: int
    recorded: int
    downloaded: int


class RunWebhook(Strict, frozen=True, kw_only=True):
    """One webhook of Zoom's: its HTTP status (a negative code of Zoom's without an answer), and how long the answer took."""

    event: str
    status: int | None
    ms: float


class RunFile(Strict, frozen=True, kw_only=True):
    """One downloaded artifact. `sha256` in lower-case hex; `path` while the file is kept; `duration_s` of a film."""

    path: str | UnsetType = UNSET
    bytes: int
    sha256: str
    content_type: str
    duration_s: float | UnsetType = UNSET


class SamplesCompared(Strict, frozen=True, kw_only=True):
    """The mixed sound that was played, and whether every sample of the recording is the same."""

    count: int
    duration_s: float
    played_sha256: str
    equal: bool


class TranscriptCompared(Strict, frozen=True, kw_only=True):
    """The sentences of the recording, and whether they are those that were said, by those who said them."""

    utterances: int
    equal: bool


class Comparison(Strict, frozen=True, kw_only=True):
    """What was recorded against what was played. `ok`: all of it is the same."""

    ok: bool
    samples: SamplesCompared
    transcript: TranscriptCompared


class RunSummary(Comparison, frozen=True, kw_only=True):
    """A run whose recording was downloaded. `posts`: requests to Recall for this hand-off; `recording`: the film, or else the sound."""

    scenario: str
    speed: float | str
    state_url: str
    seed: int
    outcome: Literal["recorded"] = "recorded"
    ids: RunIds
    timeline_ms: RunTimes
    webhooks: list[RunWebhook]
    posts: int
    recording: RunFile
    artifacts: dict[str, RunFile]


class UnrecordedIds(Strict, frozen=True, kw_only=True):
    """What is known of a meeting that has no recording."""

    meeting_uuid: str
    rtms_stream_id: str
    handoff: str


class UnrecordedTimes(Strict, frozen=True, kw_only=True):
    """`joined` is null where nobody joined."""

    started: int
    joined: int | None
    stopped: int | None


class UnrecordedRun(Strict, frozen=True, kw_only=True):
    """A run that rightly ends without a recording. `ok`: nothing of it is left at Recall; `left_at_recall`: the recordings that are.

    `handoff` and `recording` are the worker's states, and `reason` is its word for why.
    """

    scenario: str
    speed: float | str
    state_url: str
    seed: int
    outcome: Literal["deleted", "not-joined"]
    ids: UnrecordedIds
    timeline_ms: UnrecordedTimes
    webhooks: list[RunWebhook]
    stop_reason: int | None
    handoff: str
    recording: str
    reason: str
    left_at_recall: list[str]
    ok: bool
