"""What the doctor looks at in a deployed worker: who lets whom in, its records, its clock; and what cannot be seen from outside."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Iterator

from rtms_simulator.cli.service.findings import Finding, Reply

LIST, NARROWED = "/handoffs?limit=1", "/handoffs?limit=1&state=failed"
SHUT_OUT = (401, 403, 404)
"""How Google, or the worker itself, refuses: 404 in HTML is the answer of an internal ingress."""

UNSEEN = (
    ("recall key", "is used only when a stream is handed on: the first meeting shows it, and `recall-refuses` is an alert"),
    ("client secret", "cannot be checked without a meeting: Zoom has no request that takes it"),
    ("queues", "carry a probe each day, and one that does not arrive within a minute is the alert `queue-stalled`"),
)
"""What the doctor does not check, and what does."""

Ask = Callable[[str, str], Awaitable[Reply]]
"""GET a path of the worker with a token ("" for none)."""


def forged(audience: str, now_s: int) -> str:
    """A token that names the sweep's identity and that nobody signed."""
    claims = {"email": "rtmskit-sweep@example.iam.gserviceaccount.com", "email_verified": True, "aud": audience, "exp": now_s + 600}
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    head, body = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.c2lnbmVkLWJ5LW5vYm9keQ"


async def check(ask: Ask, token: str, false_token: str, clock: Callable[[Reply], Finding]) -> list[Finding]:
    """Raises httpx.TransportError. `clock` judges an answer's Date."""
    found = [
        _shut_out("worker without token", await ask(LIST, "")),
        _shut_out("worker, forged token", await ask(LIST, false_token)),
    ]
    listed = await ask(LIST, token)
    found += [_records(listed), _index(await ask(NARROWED, token)), clock(listed)]
    return [*found, *_unseen()]


def _shut_out(name: str, reply: Reply) -> Finding:
    if reply.status in SHUT_OUT:
        return Finding(name, "ok", f"refused with {reply.status}")
    do = "nobody but `workerCallers`, the queues and the schedule may call it (docs/permissions.md): run `pulumi up --refresh`."
    return Finding(name, "fail", f"/handoffs was answered with {reply.status}", do)


def _records(reply: Reply) -> Finding:
    if reply.status == 200:
        return Finding("records", "ok", "can be read")
    do = "docs/runbook.md#store-away: the database's name, the worker's right to read it, Google's status page."
    return Finding("records", "fail", f"/handoffs was answered with {reply.status}: {_reason(reply)}", do)


def _index(reply: Reply) -> Finding:
    if reply.status == 200:
        return Finding("indexes", "ok", "narrowed lists can be read")
    do = "they are built some minutes after `pulumi up`; ask again then."
    return Finding("indexes", "warn", f"a narrowed list was answered with {reply.status}: {_reason(reply)}", do)


def _unseen() -> Iterator[Finding]:
    for name, why in UNSEEN:
        yield Finding(name, "skip", why)


def _reason(reply: Reply) -> str:
    try:
        return str(json.loads(reply.content)["reason"])[:200]
    except (ValueError, KeyError, TypeError):
        return "no reason was given"
