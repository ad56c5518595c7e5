"""Who calls the worker, and what they may call, pure.

The platform's IAM decides who reaches the worker. Behind it the worker decides by the e-mail in the token that Cloud Run checked: the
identity of each path of tasks may call that path and nothing else; everybody else who was let in may call the paths for people and
nothing else. Cloud Run removes the token's signature, so this is worth as much as the IAM in front of it; outside Cloud Run the token
is verified first (`adapters/identity.py`). Headers such as `X-CloudTasks-QueueName` prove nothing and are not read.

Source: Cloud Run docs, "Authenticating service-to-service": `X-Serverless-Authorization` is preferred, and alone checked, if present.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from rtms_relay.errors import NotAllowed

Headers = Iterable[tuple[str, str]]

PREFERRED = "x-serverless-authorization"
PLAIN = "authorization"

MACHINE_PATHS = ("/events", "/retrieve", "/sweep")
"""Each has an identity of its own (`TASKS_INVOKERS`). `/handoff` took the tasks of the first edition: the same as `/events`."""

_FORMER = {"/handoff": "/events"}
_PEOPLE = re.compile(r"/(recordings|handoffs)(/.*)?", re.DOTALL)
_OPEN = "/health"
_TOKEN = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] ([A-Za-z0-9_=-]{1,4096}\.[A-Za-z0-9_=-]{1,8192}\.[A-Za-z0-9_=-]{0,4096})")
_EMAIL = re.compile(r"[\x21-\x3f\x41-\x7e]{1,256}@[\x21-\x3f\x41-\x7e]{1,256}")


class Caller(msgspec.Struct, frozen=True):
    """`email` of `identity`, which the token proves. `everybody`: somebody who was let in, of whom nothing more is known, and `why`.
    `run`: the process that started this one, by the secret of the run."""

    kind: Literal["identity", "everybody", "run"]
    email: str = ""
    why: str = ""


class Gate(Protocol):
    """Says who a request is from. Raises `NotAuthentic` where nothing in front of the worker has decided who gets in."""

    async def caller(self, headers: Headers) -> Caller: ...


def bearer(headers: Headers) -> str | None:
    """The token that Cloud Run looks at: of the preferred header if that is there, else of the plain one. None if either came twice."""
    named: dict[str, list[str]] = {PREFERRED: [], PLAIN: []}
    for name, value in headers:
        named.get(name.lower(), []).append(value)
    if any(len(values) > 1 for values in named.values()):
        return None
    [value] = named[PREFERRED] or named[PLAIN] or [""]
    match = _TOKEN.fullmatch(value)
    return None if match is None else match[1]


def by_claims(headers: Headers, *, audiences: Collection[str], now_ms: int) -> Caller:
    """Who the token says it is for, without looking at its signature. What is not clear in every point is `everybody`."""
    token = bearer(headers)
    if token is None:
        return Caller("everybody", why="no token, more than one, or not of that form")
    claims = _claims(token)
    if claims is None:
        return Caller("everybody", why="a token without claims")
    email, audience, expires = (claims.get(name) for name in ("email", "aud", "exp"))
    if not isinstance(email, str) or not _EMAIL.fullmatch(email) or claims.get("email_verified") is not True:
        return Caller("everybody", why="no verified e-mail")
    if not isinstance(audience, str) or audience not in audiences:
        return Caller("everybody", why="a token for another audience")
    if isinstance(expires, bool) or not isinstance(expires, (int, float)) or not now_ms < expires * 1000:
        return Caller("everybody", why="an expired token")
    return Caller("identity", email)


def audiences(worker_url: str) -> frozenset[str]:
    """For whom a token may be: the worker, as queues, Scheduler and people name it. Scheduler's own default is the whole URL."""
    root = worker_url.rstrip("/")
    return frozenset((root, root + "/", *(root + path for path in MACHINE_PATHS)))


def admit(caller: Caller, path: str, invokers: Mapping[str, str]) -> None:
    """Raises `NotAllowed` unless `caller` may call `path`. `invokers`: path -> the only e-mail that may call it."""
    if path == _OPEN or caller.kind == "run":
        return
    path = _FORMER.get(path, path)
    own = [machine for machine, email in invokers.items() if caller.kind == "identity" and email == caller.email]
    if path in MACHINE_PATHS:
        if path not in own:
            raise NotAllowed(f"{path} is called by its queue or Scheduler alone{': ' if caller.why else ''}{caller.why}")
    elif own:
        raise NotAllowed(f"the identity of {own[0]} may call nothing else")
    elif not _PEOPLE.fullmatch(path):
        raise NotAllowed("nobody may call this path")


def _claims(token: str) -> dict[str, Any] | None:
    payload = token.split(".")[1].rstrip("=")
    try:
        claims = msgspec.json.decode(base64.b64decode(payload + "=" * (-len(payload) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None
