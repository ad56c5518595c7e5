"""Records as they are at first: a stream that is known, and its hand-off before any try."""

from __future__ import annotations

from rtms_relay.handoff.attempt import Attempt
from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.record import HandOff
from tests.ports.events import NOW

KEY, STREAM_KEY = "a" * 64, "b" * 64
FACTS = Facts(key=STREAM_KEY, stream_id="s", product="meeting", entity_id="e", created_at=NOW)
HANDOFF = HandOff(
    key=KEY,
    stream_key=STREAM_KEY,
    product="meeting",
    entity_id="e",
    stream_id="s",
    server_urls="wss://a",
    epoch=NOW,
    created_at=NOW,
    attempt=Attempt(start_ts=NOW, state_at=NOW),
)
