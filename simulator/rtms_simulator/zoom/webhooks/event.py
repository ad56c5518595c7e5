"""One webhook event as a value, and the ids that its payload is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One webhook: `event_ts` in milliseconds. Zoom's key order is not fixed; `body` decides it."""

    name: str
    payload: Mapping[str, Any]
    event_ts: int


@dataclass(frozen=True, slots=True)
class StreamIds:
    """The ids of one meeting and stream; fields a family does not have are not sent."""

    entity_id: str
    stream_id: str
    operator_id: str = "xKLTZyhRT_aPl5eOQ2Dl9w"
    account_id: str = "Ylp1nCFkRuSyGvUx2eVzKg"
    meeting_id: str = "85746065"
    session_key: str = "ABC36jaBI145"
    is_original_host: bool = True
    custom_fields: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Of contact_center.voice_rtms_started: the call's SIP data."""
