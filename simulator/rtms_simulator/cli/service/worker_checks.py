"""What the doctor looks at in a deployed worker: who lets whom in, its records, its clock; and what cannot be seen from outside."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING

from rtms_simulator.cli.output import as_text, from_text
from rtms_simulator.cli.pages import PAGES, RUNBOOK
from rtms_simulator.cli.service.findings import Finding, Reply

if TYPE_CHECKING:
    from rtms_simulator.kit.worker_answers import CheckedQueue, CheckUpDone

LIST, NARROWED = "/handoffs?limit=1", "/handoffs?limit=1&state=failed"
SHUT_OUT = (401, 403, 404)
"""How Google, or the worker itself, refuses: 404 in HTML is the answer of an internal ingress."""

CHECK_UP = "/handoffs/checkup"
ARRIVES_WITHIN_S = 60.0
"""A task that takes longer would be an alert of the daily probe."""
_LOOK_EVERY_S = 0.5

UNSEEN = (("client secret", "cannot be checked without a meeting: Zoom has no request that takes it"),)
"""What the doctor does not check, and why."""

Ask = Callable[[str, str], Awaitable[Reply]]
"""Ask for a path of the worker with a token ("" for none)."""


Sleep = Callable[[float], Awaitable[None]]


def forged(audience: str, now_s: int) -> str:
    """A token that names the sweep's identity and that nobody signed."""
    claims = {"email": "rtmskit-sweep@example.iam.gserviceaccount.com", "email_verified": True, "aud": audience, "exp": now_s + 600}
    parts = ({"alg": "none", "typ": "JWT"}, claims)
    head, body = (base64.urlsafe_b64encode(as_text(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{body}.c2lnbmVkLWJ5LW5vYm9keQ"


async def check(ask: Ask, post: Ask, token: str, false_token: str, clock: Callable[[Reply], Finding], sleep: Sleep) -> list[Finding]:
    """Raises httpx.TransportError. `ask` is GET, `post` POST. `clock` judges an answer's Date."""
    results = [
        _shut_out("worker without token", await ask(LIST, "")),
        _shut_out("worker, forged token", await ask(LIST, false_token)),
    ]
    listed = await ask(LIST, token)
    results += [_records(listed), _index(await ask(NARROWED, token)), clock(listed)]
    return [*results, *await _checked_up(ask, post, token, sleep), *_unseen()]


async def _checked_up(ask: Ask, post: Ask, token: str, sleep: Sleep) -> list[Finding]:
    """Have the worker send a harmless task through each of its queues to itself, and ask Recall a harmless question."""
    begun = await post(CHECK_UP, token)
    if begun.status in (404, 405):
        return [Finding("check-up", "skip", "the worker is of an earlier release and has no check-up")]
    first = _decoded(begun)
    if first is None:
        return [Finding("check-up", "fail", f"{CHECK_UP} was answered with {begun.status}: {_reason(begun)}", "look at the worker's log.")]
    results = [_recall_key(first)]
    if first.store:
        do = f"{RUNBOOK}#store-away says what to look at; no task was sent."
        return [*results, Finding("store", "fail", f"cannot be written: {first.store}", do)]
    results.append(Finding("store", "ok", "a note was written"))
    latest, waited_s = first, 0.0
    while waited_s < ARRIVES_WITHIN_S and any(one.after_ms is None and not one.problem for one in _together(first, latest)):
        await sleep(_LOOK_EVERY_S)
        waited_s += _LOOK_EVERY_S
        latest = _decoded(await ask(f"{CHECK_UP}/{first.number}", token)) or latest
    return [*results, *map(_queue, _together(first, latest))]


def _together(first: CheckUpDone, latest: CheckUpDone) -> list[CheckedQueue]:
    """Each queue: why it took no task, or when the task came."""
    came = {one.name: one for one in latest.queues}
    return [one if one.problem else came.get(one.name, one) for one in first.queues]


def _recall_key(done: CheckUpDone) -> Finding:
    if not done.recall:
        return Finding("recall key", "ok", "Recall takes it, in this region")
    do = f"{RUNBOOK}#recall-refuses says what to look at: the key, its region, Recall's address."
    return Finding("recall key", "fail", done.recall, do)


def _queue(one: CheckedQueue) -> Finding:
    name, do = f"queue {one.name}", f"{RUNBOOK}#queue-stalled says what to look at: is the queue paused, may it call the worker?"
    if one.problem:
        return Finding(name, "fail", f"takes no task: {one.problem}", do)
    if one.after_ms is None:
        return Finding(name, "fail", f"a task did not come through within {ARRIVES_WITHIN_S:.0f} s", do)
    return Finding(name, "ok", f"a task came through after {one.after_ms:,} ms")


def _decoded(reply: Reply) -> CheckUpDone | None:
    import msgspec

    from rtms_simulator.kit.worker_answers import CheckUpDone

    try:
        return msgspec.json.decode(reply.content, type=CheckUpDone) if reply.status == 200 else None
    except msgspec.DecodeError:
        return None


def _shut_out(name: str, reply: Reply) -> Finding:
    if reply.status in SHUT_OUT:
        return Finding(name, "ok", f"refused with {reply.status}")
    do = f"nobody but `workerCallers`, the queues and the schedule may call it ({PAGES}/permissions.md): run `pulumi up --refresh`."
    return Finding(name, "fail", f"/handoffs was answered with {reply.status}", do)


def _records(reply: Reply) -> Finding:
    if reply.status == 200:
        return Finding("records", "ok", "can be read")
    do = f"{RUNBOOK}#store-away: the database's name, the worker's right to read it, Google's status page."
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
        return str(from_text(reply.content)["reason"])[:200]
    except (ValueError, KeyError, TypeError):
        return "no reason was given"
