"""The customer's Marketplace app, as Zoom knows it."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from rtms_simulator.zoom.rtms.enums import MEDIA_KEYS, MediaType

KINDS = {name: kind for kind, name in MEDIA_KEYS.items()}


@dataclass(frozen=True, slots=True)
class ZoomApp:
    """A Marketplace app. `scopes` are the media it may have; `webhook_url` where its events go when it is not the meeting's own."""

    client_id: str
    client_secret: str = field(repr=False)
    secret_token: str = field(repr=False)
    scopes: frozenset[str] = frozenset(MEDIA_KEYS.values())
    webhook_url: str | None = None

    def __post_init__(self) -> None:
        unknown = set(self.scopes) - set(MEDIA_KEYS.values())
        if unknown:
            raise ValueError(f"unknown scopes {sorted(unknown)} (allowed: {', '.join(MEDIA_KEYS.values())})")

    @property
    def subscription_id(self) -> str:
        """The id of its event WebSocket subscription, derived from the client id."""
        return base64.urlsafe_b64encode(hashlib.sha256(f"subscription {self.client_id}".encode()).digest()[:16]).decode().rstrip("=")

    @property
    def kinds(self) -> MediaType:
        return MediaType(sum(KINDS[scope] for scope in self.scopes))
