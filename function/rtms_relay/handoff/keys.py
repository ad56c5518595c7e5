"""Every derived key, and the one rule that says which Idempotency-Key comes next.

A key that two tries share makes Recall answer the second like the first: nothing is made twice. A key whose answer is final and
useless must be left, since Recall would repeat that answer for an hour (Recall docs, "Idempotency"). So:

* an answer that certainly made nothing is followed by the next key;
* without a connection the key stays: nothing can be stored under it, and while the store was away another try of key 0 may have
  begun that no record knows;
* one that may have made something by the same key; if it is the same answer twice, or 409 for 20 seconds, the next key is used,
  once per hand-off, and the hand-off is marked `unsure`;
* a key that may have made something is not left for an answer that Recall's create never gave (3xx, 401 to 405).

Hashes here never change within a major version: `tests/unit/relay/handoff/test_keys.py` holds golden vectors.
"""

from __future__ import annotations

import hashlib

import msgspec
from msgspec.structs import replace

from rtms_relay import budgets
from rtms_relay.handoff.answers import Outcome


def stream_key(stream_id: str) -> str:
    """64 hex digits. Raw ids may contain `/` and are never document ids."""
    return hashlib.sha256(stream_id.encode()).hexdigest()


def handoff_key(deployment: str, stream_id: str, server_urls: str, epoch: int) -> str:
    """64 hex digits over the four, each with its length, so that no two combinations run into one."""
    parts = (deployment, stream_id, server_urls, str(epoch))
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part.encode()), part.encode()) for part in parts)).hexdigest()


def first_edition_key(stream_id: str, server_urls: str) -> str:
    """The hand-off key of the first edition, whose records are still read."""
    first, second = stream_id.encode(), server_urls.encode()
    return hashlib.sha256(b"%d:%b%d:%b" % (len(first), first, len(second), second)).hexdigest()


def idempotency_key(handoff: str, number: int) -> str:
    """The Idempotency-Key number `number` (from 0) of a hand-off: 32 hex digits. Everything that knows the hand-off can compute the key."""
    return hashlib.sha256(f"{handoff}:{number}".encode()).hexdigest()[:32]


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Which key is next, and what its tries came to.

    `first_at`: when this key was first used, ms. `doubtful`: a try of it may have made something. `answer`, `same`, `same_since`: the
    last doubtful answer, how often it came in a row, and since when. `skipped`: a doubtful key was left already.
    """

    number: int = 0
    first_at: int | None = None
    doubtful: bool = False
    answer: str = ""
    same: int = 0
    same_since: int = 0
    skipped: bool = False

    def expired(self, now: int) -> bool:
        return self.first_at is not None and now - self.first_at > budgets.KEY_LIFE_MS


def used(keys: Keys, now: int) -> Keys:
    """A try begins with the current key."""
    return keys if keys.first_at is not None else replace(keys, first_at=now)


def left_open(keys: Keys) -> Keys:
    """A try began and nobody wrote down how it ended."""
    return replace(keys, doubtful=True)


def after(keys: Keys, outcome: Outcome, now: int) -> Keys:
    """The keys after a try that was not accepted. What is refused for good made nothing, either: a person may ask for one more try."""
    if outcome.kind in ("made_nothing", "refused"):
        if outcome.status == 0 or (keys.doubtful and not outcome.from_create):
            return keys
        return Keys(number=keys.number + 1, skipped=keys.skipped or keys.doubtful)
    repeated = outcome.answer == keys.answer
    same, since = (keys.same + 1, keys.same_since) if repeated else (1, now)
    stuck = now - since >= budgets.IN_FLIGHT_LIMIT_MS if outcome.status == 409 else same >= 2
    if stuck and not keys.skipped:
        return Keys(number=keys.number + 1, skipped=True)
    return replace(keys, doubtful=True, answer=outcome.answer, same=same, same_since=since)
