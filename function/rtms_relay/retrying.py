"""One more try of one hand-off, because a person asks for it: at once if its stream can be joined, else its recording is looked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from rtms_relay.budgets import RETRY_MS, Rules
from rtms_relay.errors import NotFound
from rtms_relay.handing import Handing, facts_of
from rtms_relay.handoff import record, retry
from rtms_relay.handoff.facts import Facts
from rtms_relay.handoff.record import HandOff
from rtms_relay.handoff.retry import Possible
from rtms_relay.listing import checked_id
from rtms_relay.notices import Notices, ids
from rtms_relay.ports import Clock, Log
from rtms_relay.recordings import Recordings
from rtms_relay.records import Change, Records
from rtms_relay.shown import Retry

_DID = {"post": "tried", "look": "looked", "nothing": "nothing"}


class Retrying:
    """Whatever is done goes through the same code as the tasks: a try takes the lease and the next key, a look reads at Recall."""

    def __init__(
        self, records: Records, handing: Callable[[], Handing], recordings: Recordings, clock: Clock, log: Log, rules: Rules
    ) -> None:
        self._records = records
        self._new_handing = handing
        self._recordings = recordings
        self._clock = clock
        self._log = log
        self._rules = rules
        self._notices = Notices(clock, log)

    async def retry(self, key: str) -> Retry:
        """What was done, and its outcome within `RETRY_MS`; after that the sweep continues with it.

        Raises `BadRequest`, `NotFound`, `StoreError`.
        """
        handoff = await self._records.handoff(checked_id(key))
        if handoff is None:
            raise NotFound("no hand-off has this id")
        possible, handoff = await self._prepared(handoff)
        self._log("NOTICE", "handoff_retried", state=handoff.attempt.state, why=possible.why, outcome=_DID[possible.kind], **ids(handoff))
        if possible.kind == "post":
            await self._new_handing().finish(handoff, until_ms=self._clock.monotonic_ms() + RETRY_MS)
        elif possible.kind == "look":
            await self._recordings.look(key, copying=False)
        after = await self._records.handoff(key) or handoff
        return Retry(
            id=key,
            did=_DID[possible.kind],
            why=possible.why,
            remains=possible.remains,
            state=after.attempt.state,
            reason=after.attempt.reason,
            retrieval=after.erasure.state if after.erasure.on else after.retrieval.state,
            retrieval_reason=after.retrieval.reason,
        )

    async def _prepared(self, handoff: HandOff) -> tuple[Possible, HandOff]:
        """Settle it, and write down that it is to be tried, or looked for, now."""
        key = handoff.key

        def decide(facts: Facts, handoffs: Mapping[str, HandOff]) -> Change[Possible]:
            now = self._clock.now_ms()
            settled = record.settle(handoffs.get(key, handoff), facts, now, self._rules)
            possible = retry.possible(settled, facts, now, self._rules)
            if possible.kind == "post":
                settled = replace(settled, attempt=retry.again(settled.attempt, now))
            elif possible.kind == "look":
                settled = record.announced(settled, "", None, now)
            return Change(facts, {key: settled}, possible)

        changed = await self._records.change_stream(facts_of(handoff), lambda _: [key], decide)
        self._notices.changed(changed.handoffs)
        return changed.result, changed.handoffs[0][1]
