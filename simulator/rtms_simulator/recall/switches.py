"""Every behaviour of the fake that the vendor's public documents leave open, as one documented switch with a default.

Each carries one of the labels of docs/evidence/README.md (recall/evidence.py); docs/recall-coverage.md lists them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from rtms_simulator.recall.evidence import Label

LocalUrls = Literal["none", "server_urls", "all"]
"""Which localhost and IP-address URLs pass the firewall: none, those of `zoom_rtms.server_urls` only, all."""


@dataclass(frozen=True, slots=True)
class Progression:
    """How soon a step that the recorder has really made becomes visible in the API and in webhooks.

    `immediate`: at once. `timed`: `seconds` later on the clock (post-processing). `polls`: only after the object was retrieved
    `polls` times since the last visible step.
    """

    kind: Literal["immediate", "timed", "polls"] = "immediate"
    seconds: float = 0.0
    polls: int = 0

    @classmethod
    def timed(cls, seconds: float) -> Progression:
        if seconds < 0:
            raise ValueError(f"seconds must be >= 0, found {seconds}")
        return cls("timed", seconds=seconds)

    @classmethod
    def after_polls(cls, polls: int) -> Progression:
        if polls < 1:
            raise ValueError(f"polls must be >= 1, found {polls}")
        return cls("polls", polls=polls)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Requests per workspace within a sliding 60 s, by kind of operation; `None` switches that limit off."""

    create: int | None = 60
    listing: int | None = 60
    single: int | None = 300
    create_transcript: int | None = 5

    @classmethod
    def off(cls) -> RateLimits:
        return cls(None, None, None, None)


def _switch(default: Any, point: int, evidence: Label, doc: str) -> Any:
    """A field of `RecallSwitches`: `point` is the open question (docs/evidence/recall.md J), `evidence` its label."""
    return field(default=default, metadata=_about(point, evidence, doc))


def _about(point: int, evidence: Label, doc: str) -> dict[str, Any]:
    return {"point": point, "evidence": evidence, "doc": doc}


@dataclass(frozen=True, slots=True)
class RecallSwitches:
    """The open questions, decided. Change one with `dataclasses.replace` or with `rtmskit switches set`."""

    recording_metadata: Literal["copied", "absent"] = _switch(
        "copied", 4, "documented", "whether recording_config.metadata comes back as the recording's metadata, or nothing does"
    )
    html_waf: bool = _switch(False, 5, "documented", "answer blocked requests with the older CloudFront HTML page instead of JSON")
    allow_local_urls: LocalUrls = field(
        default="none",
        metadata=_about(
            5, "documented", "which localhost and IP-address URLs pass the firewall: none, those of zoom_rtms.server_urls, all"
        ),
    )
    max_body_bytes: int = _switch(10 * 1024 * 1024, 3, "unknown", "larger request bodies get 413")
    signature_shape_check: bool = _switch(True, 6, "inferred", "refuse at create a signature that is not 64 lower-case hex digits")
    signature_check_s: float = _switch(0.0, 6, "inferred", "how long after the 201 a wrong HMAC turns the MDC failed, in seconds")
    recordings: Literal["at_once", "later", "never"] = _switch(
        "later", 7, "unknown", "when an MDC's `recordings` gains its entry: in the 201, once the stream is up, never"
    )
    mdc_codes: Mapping[str, str] = field(
        default_factory=dict,
        metadata=_about(8, "unknown", "renames MDC status codes (keys connecting, recording, done, failed), e.g. to invented ones"),
    )
    status_changes: bool = _switch(False, 8, "unknown", "also show an MDC's `status_changes`, as bots do")
    progression: Progression = field(
        default=Progression(), metadata=_about(7, "inferred", "how soon a step becomes visible: immediate, timed, after n polls")
    )
    echo_zoom_rtms: bool = _switch(True, 7, "unknown", "show `zoom_rtms` (never its signature) in an MDC")
    defaults: Literal["create_bot", "only_asked"] = _switch(
        "create_bot", 9, "inferred", "what an absent key of recording_config means: Create Bot's default, or nothing"
    )
    captions_provider: bool = _switch(
        True, 10, "inferred", "a transcript asked of `meeting_captions` is reported with provider `zoom_rtms`"
    )
    mdc_list: Literal["cursor", "bare_array"] = _switch("cursor", 11, "unknown", "shape of the MDC list")
    mdc_list_metadata_filter: bool = _switch(False, 11, "unknown", "whether `metadata__KEY=VALUE` filters the MDC list too")
    recording_list_filters: Literal["applied", "ignored"] = _switch(
        "applied",
        11,
        "documented",
        "whether the recordings list obeys its filters; ignored, as frameworks treat parameters they do not know, it lists all there are",
    )
    page_size: int = _switch(50, 11, "unknown", "objects on one page of a list")
    idempotency_stores: Literal["all", "success"] = _switch(
        "all", 12, "inferred", "which completed answers an Idempotency-Key replays: whatever it was, or 2xx only"
    )
    limits: RateLimits = field(default=RateLimits(), metadata=_about(13, "documented", "sliding-window limits per minute"))
    json_links: Literal["s3", "api"] = _switch("s3", 16, "documented", "form of links to JSON artifacts: S3, or /api/v1/download/…?token=")
    link_s: float = _switch(6 * 3600.0, 16, "documented", "life of a download link, in seconds")
    swap_done: bool = _switch(False, 17, "documented", "send recording.done before the artifacts' .done events")
    bot_key: Literal["absent", "null", "object", "meeting_direct_connect"] = _switch(
        "absent",
        18,
        "unknown",
        "what stands in an MDC recording's events where a bot's have `bot`: nothing, null, `bot` as an object, or the MDC instead",
    )
    delete_while_processing: Literal["stop", "refuse"] = _switch(
        "stop", 19, "unknown", "DELETE of a recording still being made: stop it and delete, or 400"
    )
    deleted: Literal["kept", "gone"] = _switch(
        "kept", 19, "inferred", "a deleted recording or artifact: answered as `deleted` with its metadata and without media, or 404"
    )
    retention_hours: float | None = _switch(
        None, 20, "documented", "retention when the request has none: None = forever, 168 for old accounts"
    )
    retention_from: Literal["created", "completed"] = _switch(
        "created", 20, "documented", "the moment from which the hours of a retention count: the recording's creation, or its end"
    )
    displaced: Literal["done", "failed"] = _switch(
        "done", 21, "inferred", "how the first MDC of a stream ends when a second create takes the stream over"
    )
    workspace_secret_exists: bool = _switch(True, 22, "documented", "without one, nothing but webhooks in the older svix-* form is signed")
    realtime_participant: Literal["typed", "null"] = _switch(
        "typed",
        22,
        "documented",
        "a real-time event's participant: is_host a boolean and extra_data an object, as documented, or both null as in downloads",
    )
    realtime_buffer: int = _switch(1_000, 22, "unknown", "events kept for a real-time endpoint that is behind; older ones are dropped")

    def shows(self, status: str) -> bool:
        """Whether a recording or artifact with this status is still to be seen."""
        return status != "deleted" or self.deleted == "kept"


def switch_table() -> list[dict[str, Any]]:
    """Each switch as {name, default, point, evidence, doc}, in the order of the dataclass."""
    defaults = RecallSwitches()
    return [{"name": f.name, "default": getattr(defaults, f.name), **f.metadata} for f in fields(RecallSwitches)]
