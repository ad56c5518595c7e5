"""What Recall's answer to a create means: one row for each status from 100 to 599, and one for each way of having no answer.

Sources: Recall docs, "Errors" and "Idempotency". The rows are data; `outcome` only looks them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from rtms_relay import budgets

Kind = Literal["accepted", "made_nothing", "in_doubt", "refused"]
"""accepted: an MDC exists. made_nothing: certainly no MDC was made, try again. in_doubt: one may have been made, try again.
refused: final, since every repetition gets the same answer."""

Pause = Literal["none", "backoff", "refused", "busy", "in_flight"]


class Row(msgspec.Struct, frozen=True):
    """One line of the table. `from_create`: only Recall's create itself gives this answer, no gateway before it.
    `alert`: every other hand-off will get the same answer."""

    kind: Kind
    pause: Pause
    cause: str
    alert: bool = False
    from_create: bool = False


_ADDRESS = "no such API; is RECALL_BASE_URL right?"

RULES: tuple[tuple[int, int, Row], ...] = (
    (100, 199, Row("in_doubt", "backoff", "an answer that is not final")),
    (200, 299, Row("accepted", "none", "")),
    (300, 399, Row("made_nothing", "refused", "a redirect; is RECALL_BASE_URL right?", alert=True)),
    (400, 499, Row("refused", "none", "the request cannot succeed; is RECALL_RECORDING_CONFIG right?", alert=True)),
    (401, 401, Row("made_nothing", "refused", "wrong RECALL_API_KEY, or a key of another region than RECALL_REGION", alert=True)),
    (402, 402, Row("refused", "none", "the Recall account is out of credit", alert=True)),
    (403, 403, Row("made_nothing", "refused", "blocked by Recall; is there a localhost or IP URL in RECALL_RECORDING_CONFIG?", alert=True)),
    (404, 405, Row("made_nothing", "refused", _ADDRESS, alert=True)),
    (408, 408, Row("in_doubt", "backoff", "Recall took too long")),
    (409, 409, Row("in_doubt", "in_flight", "the same key is in flight")),
    (425, 425, Row("in_doubt", "backoff", "too early")),
    (429, 429, Row("made_nothing", "busy", "too many requests", from_create=True)),
    (500, 599, Row("in_doubt", "backoff", "Recall failed")),
    (507, 507, Row("made_nothing", "busy", "no capacity", from_create=True)),
)
"""(first status, last status, row); of two that cover a status the later holds."""

ANSWERS: Mapping[int, Row] = {status: row for first, last, row in RULES for status in range(first, last + 1)}
"""Every status from 100 to 599."""

NO_ANSWER: Mapping[str, Row] = {
    "unreachable": Row("made_nothing", "backoff", "no connection"),
    "timeout": Row("in_doubt", "backoff", "no answer in time"),
    "reset": Row("in_doubt", "backoff", "the connection was lost"),
}
"""The values of `ports.Answer.failure`."""

NO_ID = Row("in_doubt", "backoff", "an answer without an id")
"""2xx without a readable id: something may have been made, and nobody can name it."""

PAUSES_MS: Mapping[Pause, int] = {
    "none": 0,
    "backoff": budgets.BACKOFF_MS,
    "refused": budgets.REFUSED_PAUSE_MS,
    "busy": budgets.BUSY_PAUSE_MS,
    "in_flight": budgets.IN_FLIGHT_PAUSE_MS,
}


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer means for the hand-off. `answer` names it, so that a repetition is recognised."""

    kind: Kind
    answer: str
    reason: str = ""
    status: int = 0
    mdc_id: str | None = None
    pause: Pause = "none"
    retry_after_ms: int | None = None
    alert: bool = False
    from_create: bool = False


def outcome(status: int, failure: str | None, mdc_id: str | None, detail: str = "", retry_after_s: float | None = None) -> Outcome:
    """Look an answer up. `status` 0: there was none, and `failure` says why. Total: an unknown status counts as a server's failure."""
    row = NO_ANSWER.get(failure or "reset", NO_ANSWER["reset"]) if status == 0 else ANSWERS.get(status, ANSWERS[500])
    if row.kind == "accepted" and mdc_id is None:
        row = NO_ID
    if row.kind == "accepted":
        return Outcome(kind="accepted", answer=str(status), status=status, mdc_id=mdc_id)
    words = row.cause if status == 0 else f"Recall answered {status}: {row.cause}"
    return Outcome(
        kind=row.kind,
        answer=str(status or failure),
        reason=f"{words} ({detail})" if detail else words,
        status=status,
        pause=row.pause,
        retry_after_ms=None if retry_after_s is None else int(retry_after_s * 1000),
        alert=row.alert,
        from_create=row.from_create,
    )


def pause_ms(result: Outcome, tries: int, jitter: float) -> int:
    """How long to wait before try number `tries` + 1. `jitter` in [0, 1)."""
    if result.pause in ("busy", "in_flight") and result.retry_after_ms is not None:
        return result.retry_after_ms + int(jitter * 1000)
    base = PAUSES_MS[result.pause]
    if result.pause == "backoff":
        grown = base * 2 ** min(max(tries - 1, 0), budgets.BACKOFF_DOUBLINGS)
        return max(int(grown * (0.75 + jitter / 2)), result.retry_after_ms or 0)
    return base
