"""Access tokens as Zoom's OAuth service gives them to an app, for the event WebSocket and the REST API.

`POST /oauth/token` with `grant_type` account_credentials or client_credentials and the app's Basic authorization. A token lasts an hour.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from random import Random

from rtms_simulator.clock import Clock
from rtms_simulator.zoom.app import ZoomApp

LIFE_S = 3600.0
REMEMBERED_S = 86_400.0
"""How long an expired token is still known as one."""
GRANTS = ("account_credentials", "client_credentials", "authorization_code", "refresh_token")


class AccessTokens:
    """The tokens that were given out, and to which app."""

    def __init__(self, clock: Clock, apps: Iterable[ZoomApp], random: Random) -> None:
        self._clock = clock
        self._apps = tuple(apps)
        self._random = random
        self._given: dict[str, tuple[str, float]] = {}

    def authenticate(self, authorization: str) -> ZoomApp | None:
        """The app whose `Basic base64(client_id:client_secret)` this is."""
        scheme, _, value = authorization.partition(" ")
        try:
            client_id, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if scheme.lower() != "basic":
            return None
        for app in self._apps:
            if app.client_id == client_id and hmac.compare_digest(app.client_secret.encode(), secret.encode()):
                return app
        return None

    def issue(self, app: ZoomApp) -> str:
        """A new token."""
        now = self._clock.now()
        self._given = {token: entry for token, entry in self._given.items() if entry[1] > now - REMEMBERED_S}
        token = base64.urlsafe_b64encode(self._random.randbytes(48)).decode()
        self._given[token] = (app.client_id, now + LIFE_S)
        return token

    def client_of(self, token: str) -> str | None:
        """The client id a token belongs to; None for one that was never given or has expired."""
        client_id, expires = self._given.get(token, ("", 0.0))
        return client_id if expires > self._clock.now() else None

    def expired(self, token: str) -> bool:
        """Whether it was given out here and has expired."""
        return token in self._given and self.client_of(token) is None
