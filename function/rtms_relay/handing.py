"""Handing one start on to Recall: note it, POST it, try again until it is accepted or its window is over, record the outcome.

All of that happens in one request. The record is written before each POST and after it; if the store is away, it works without it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec.structs import replace

from rtms_relay import budgets, recall, tasks, zoom
from rtms_relay.budgets import Rules
from rtms_relay.concurrently import within
from rtms_relay.enqueueing import insist
from rtms_relay.errors import QueueUnavailable, Stopping, StoreError, StoreUnavailable
from rtms_relay.handoff import answers, record
from rtms_relay.handoff import attempt as attempts
from rtms_relay.handoff import facts as known
from rtms_relay.handoff.answers import Outcome
from rtms_relay.handoff.attempt import Wait
from rtms_relay.handoff.facts import Begun, Facts
from rtms_relay.handoff.keys import idempotency_key, stream_key
from rtms_relay.handoff.record import HandOff
from rtms_relay.notices import Notices, ids
from rtms_relay.ports import Clock, Jobs, Log, Queues, Randomness, RecallApi, Severity
from rtms_relay.records import Change, Changed, Records
from rtms_relay.settings import Settings

_SLICE_S = 1.0
_OUTCOME_PATIENCE_MS = 5_000
_AGAIN_PAUSE_S = 2.0

Runs = Callable[[HandOff], Awaitable[bool | None]]
"""Whether the recording of an accepted hand-off still runs; None: Recall does not say."""

Step = Literal["post", "again", "nothing"]


@dataclass(frozen=True, slots=True)
class Noted:
    """What noting a start led to. `post`: the lease is ours. `again`: the same servers as an accepted hand-off's. `created`: it is new."""

    handoff: HandOff
    step: Step
    created: bool


class Handing:
    """`stopping` says whether the process was asked to stop. `runs` says whether the recording of an accepted hand-off still runs."""

    def __init__(
        self,
        settings: Settings,
        rules: Rules,
        records: Records,
        queues: Queues,
        api: RecallApi,
        clock: Clock,
        jobs: Jobs,
        randomness: Randomness,
        log: Log,
        stopping: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._records = records
        self._queues = queues
        self._api = api
        self._clock = clock
        self._jobs = jobs
        self._randomness = randomness
        self._log = log
        self._stopping = stopping
        self._notices = Notices(clock, log)

    async def hand_on(self, start: tasks.Start, runs: Runs) -> str:
        """Returns the state it ended in, or "noted" if there was nothing to do.

        Raises `StoreUnavailable` if neither the record nor a task for it could be written, `Stopping` if the process is asked to stop.
        """
        stream = stream_key(start.stream_id)
        names = {"stream": stream, "entity_id": start.entity_id, "rtms_stream_id": start.stream_id}
        self._log("INFO", "start_seen", name=start.event, copy=start.copy, **names)
        noted = await self._noted(start)
        if noted is None:
            return await self._without_store(start)
        if start.copy == "second" and noted.created:
            self._log("ALERT", "home_stalled", what="the copy in the second region came first", **ids(noted.handoff))
        if noted.step == "again":
            noted = await self._again(start, noted, runs)
        if noted.step == "nothing" and start.copy == "second":
            return "noted"
        return await self.finish(noted.handoff, leased=noted.step == "post", start=start)

    # Noting

    async def _noted(self, start: tasks.Start) -> Noted | None:
        """None: the store is away."""
        try:
            changed = await within(self._jobs, self._clock, budgets.STORE_MS / 1000, self.note(start), "note the start")
        except (StoreError, TimeoutError) as error:
            permanent = isinstance(error, StoreUnavailable) and error.permanent
            self._log("ALERT" if permanent else "ERROR", "store_away", what=str(error), stream=stream_key(start.stream_id))
            return None
        return changed.result

    async def note(self, start: tasks.Start, *, begins: bool = False) -> Changed[Noted]:
        """Add a start to its stream's facts; its hand-off is created or settled with them, and if it is to be POSTed, its lease taken."""
        now = self._clock.now_ms()
        begun = _begun(start)

        def decide(facts: Facts, handoffs: Mapping[str, HandOff]) -> Change[Noted]:
            facts = _completed(facts, start)
            newest = facts.newest
            latest = handoffs.get(newest.key) if newest is not None else None
            over = latest is not None and latest.attempt.state in ("cancelled", "failed", "expired")
            after, run = known.with_start(facts, begun, self._settings.deployment, begins=begins or over)
            joined = handoffs.get(run.key)
            if joined is not None and joined.attempt.posted and not begins and _is_news(start, joined, after):
                return Change(facts, {}, Noted(joined, "again", created=False))
            changes = {key: record.settle(handoff, after, now, self._rules) for key, handoff in handoffs.items() if after.run(key)}
            changes[run.key] = self._settled(joined or record.new(after, run.key, start.server_urls, run.epoch, now), after, now)
            step: Step = "nothing"
            if attempts.decide(changes[run.key].attempt, now) is True:
                step, changes[run.key] = "post", _leased(changes[run.key], now, self._rules)
            return Change(after, changes, Noted(changes[run.key], step, created=joined is None))

        changed = await self._records.change_stream(_first_facts(start, now), lambda facts: self._relevant(facts, begun), decide)
        self._notices.changed(changed.handoffs)
        return changed

    def _relevant(self, facts: Facts, begun: Begun) -> list[str]:
        """The hand-offs that a start concerns: the stream's newest, and the one that it belongs to."""
        newest = facts.newest
        _, joined = known.with_start(facts, begun, self._settings.deployment)
        _, own = known.with_run(facts, begun, self._settings.deployment)
        return list(dict.fromkeys([*([newest.key] if newest else []), joined.key, own.key]))

    def _settled(self, handoff: HandOff, facts: Facts, now: int) -> HandOff:
        refusal = None if facts.revoked_ts else self._refusal(handoff.entity_id, handoff.server_urls)
        if handoff.attempt.state == "pending" and refusal is not None:
            handoff = record.refuse(handoff, refusal, now)
        return record.settle(handoff, facts, now, self._rules)

    def _refusal(self, entity_id: str, server_urls: str) -> str | None:
        """Why a stream must not or cannot be handed on, also if Recall would take it."""
        if not entity_id:
            return "Zoom named servers and no id of the meeting, and no start of this stream is known"
        return zoom.refused_host(server_urls, self._settings.zoom_server_hosts)

    async def _again(self, start: tasks.Start, noted: Noted, runs: Runs) -> Noted:
        """The same servers as an accepted hand-off's, later: if its recording runs, that is noted; if not, a new hand-off begins."""
        deadline = start.event_ts + self._rules.connect_window_ms // 2
        running = await runs(noted.handoff)
        while running is None and self._clock.now_ms() < deadline:
            await self._sleep(_AGAIN_PAUSE_S)
            running = await runs(noted.handoff)
        self._log("NOTICE", "start_again", running=running, **ids(noted.handoff))
        if running:
            await self._note_running(noted.handoff.key, start)
            return Noted(noted.handoff, "nothing", created=False)
        return (await self.note(start, begins=True)).result

    async def _note_running(self, key: str, start: tasks.Start) -> None:
        begun = _begun(start)

        def decide(facts: Facts, handoffs: Mapping[str, HandOff]) -> Change[None]:
            after, _ = known.with_start(facts, begun, self._settings.deployment)
            now = self._clock.now_ms()
            return Change(after, {name: record.settle(handoff, after, now, self._rules) for name, handoff in handoffs.items()}, None)

        await self._records.change_stream(_first_facts(start, self._clock.now_ms()), lambda _: [key], decide)

    # Trying until it is over

    async def finish(
        self, handoff: HandOff, *, leased: bool = False, start: tasks.Start | None = None, until_ms: float | None = None
    ) -> str:
        """Try on until the hand-off is settled, and return its state. `leased`: its lease is ours already. `start`: the task's, if there is
        one. `until_ms`: give up at this monotonic time."""
        while True:
            try:
                if not leased:
                    step, handoff = await self._take(handoff)
                    if step is False:
                        return handoff.attempt.state
                    if isinstance(step, Wait):
                        seconds = max(0.05, (step.until - self._clock.now_ms()) / 1000)
                        if until_ms is not None and self._clock.monotonic_ms() + seconds * 1000 > until_ms:
                            return "pending"
                        await self._sleep(seconds)
                        continue
            except StoreError as error:
                self._log("ERROR", "store_away", what=str(error), **ids(handoff))
                return await self._without_store(_start_of(handoff, start), handoff)
            outcome, at = await self._post(handoff, handoff.attempt.keys.number)
            try:
                handoff, leased = await self._written(handoff, outcome, at), False
            except StoreError as error:
                self._log("ERROR", "store_away", what=str(error), **ids(handoff))
                jitter = self._randomness.uniform(0, 1)
                handoff = record.after_answer(handoff, handoff.attempt.tries, outcome, at, jitter, self._rules)
                return await self._without_store(_start_of(handoff, start), handoff, [(outcome, at)])

    async def _take(self, handoff: HandOff) -> tuple[Wait | bool, HandOff]:
        """Take the lease of a pending hand-off: True if it is ours, else what to wait for, or False; and its record."""
        key = handoff.key

        def decide(facts: Facts, handoffs: Mapping[str, HandOff]) -> Change[tuple[Wait | bool, HandOff]]:
            now = self._clock.now_ms()
            settled = self._settled(handoffs.get(key, handoff), facts, now)
            step = attempts.decide(settled.attempt, now)
            after = _leased(settled, now, self._rules) if step is True else settled
            return Change(facts, {key: after}, (step, after))

        changed = await self._records.change_stream(facts_of(handoff), lambda _: [key], decide)
        self._notices.changed(changed.handoffs)
        return changed.result

    async def _written(self, handoff: HandOff, outcome: Outcome, now: int) -> HandOff:
        """Record the result of a try, merged with what happened in the meantime."""
        key, number, jitter = handoff.key, handoff.attempt.tries, self._randomness.uniform(0, 1)

        def decide(facts: Facts, handoffs: Mapping[str, HandOff]) -> Change[bool]:
            current = handoffs.get(key, handoff)
            after = record.after_answer(current, number, outcome, now, jitter, self._rules)
            return Change(facts, {key: record.settle(after, facts, now, self._rules)}, record.doubled(current, outcome.mdc_id))

        changed = await self._records.change_stream(facts_of(handoff), lambda _: [key], decide)
        before, after = changed.handoffs[0]
        if changed.result:
            self._log("ALERT", "handoff_doubled", mdc_id=after.attempt.mdc_id, other=outcome.mdc_id, **ids(after))
        self._notices.changed([(before, after)], alert=outcome.alert)
        return after

    async def _post(self, handoff: HandOff, key: int) -> tuple[Outcome, int]:
        """One POST with Idempotency-Key number `key`: what it came to, and when."""
        settings = self._settings
        signature = zoom.rtms_signature(settings.zoom_client_id, settings.zoom_client_secret, handoff.entity_id, handoff.stream_id)
        body = recall.create_body(
            entity_id=handoff.entity_id,
            entity_field=zoom.entity_field(handoff.product, settings.recall_entity_field),
            stream_id=handoff.stream_id,
            server_urls=handoff.server_urls,
            signature=signature,
            handoff=handoff.key,
            recording_config=settings.recall_recording_config,
        )
        answer = await self._api.create(body, idempotency_key(handoff.key, key))
        mdc_id = recall.created_id(answer.body) if 200 <= answer.status < 300 else None
        detail = "" if answer.status == 0 or 200 <= answer.status < 300 else recall.excerpt(answer.body)
        outcome = answers.outcome(answer.status, answer.failure, mdc_id, detail, answer.retry_after_s)
        repeated = bool(handoff.attempt.history) and handoff.attempt.history[-1].endswith(outcome.reason)
        severity: Severity = "INFO" if outcome.kind == "accepted" else "ALERT" if outcome.alert and not repeated else "WARNING"
        line = {"number": handoff.attempt.tries, "key": key, "status": answer.status, "outcome": outcome.kind, "reason": outcome.reason}
        self._log(severity, "attempt", **line, **ids(handoff))
        return outcome, self._clock.now_ms()

    async def _sleep(self, seconds: float) -> None:
        """Wait; raises `Stopping` soon after the process was asked to stop."""
        end = self._clock.monotonic_ms() + seconds * 1000
        while (left := end - self._clock.monotonic_ms()) > 0:
            if self._stopping():
                raise Stopping("the process was asked to stop; the task comes again")
            await self._clock.sleep(min(left / 1000, _SLICE_S))

    # Without the store

    async def _without_store(
        self, start: tasks.Start, handoff: HandOff | None = None, posts: list[tuple[Outcome, int]] | None = None
    ) -> str:
        """Hand it on with key 0 only, and send the outcome to `facts`. The same rules, on a value instead of a record.

        `handoff`: as it was when the store went away. `posts`: what was tried since its record was last written."""
        if handoff is None:
            await self._announce(start)
        posts = posts or []
        now = self._clock.now_ms()
        facts, run = known.with_run(_first_facts(start, now), _begun(start), self._settings.deployment)
        handoff = handoff or self._settled(record.new(facts, run.key, start.server_urls, run.epoch, now), facts, now)
        while handoff.attempt.state == "pending":
            step = attempts.decide(handoff.attempt, self._clock.now_ms())
            if isinstance(step, Wait):
                await self._sleep(max(0.05, (step.until - self._clock.now_ms()) / 1000))
            else:
                handoff = _leased(handoff, self._clock.now_ms(), self._rules)
                outcome, at = await self._post(handoff, 0)
                posts.append((outcome, at))
                jitter = self._randomness.uniform(0, 1)
                handoff = record.after_answer(handoff, handoff.attempt.tries, outcome, at, jitter, self._rules)
            handoff = record.settle(handoff, facts, self._clock.now_ms(), self._rules)
        # Whatever it came to, no record could say it: also if its last try was the one that the store was away at.
        self._notices.changed([(None, handoff)], alert=bool(posts) and posts[-1][0].alert)
        await self._send_outcome(start, posts)
        return handoff.attempt.state

    async def _announce(self, start: tasks.Start) -> None:
        """Before a POST that no record knows of, put a note on `facts`: if this worker crashes during it, what it made must still be found,
        or a revocation would not delete it. Best effort: the start is worth more than the note."""
        message = tasks.OutcomeNote(received_ms=start.received_ms, start=start, posts=())
        try:
            await self._to_facts(message, budgets.ENQUEUE_MS)
        except QueueUnavailable as error:
            self._log("WARNING", "error", where="announce", what=str(error), stream=stream_key(start.stream_id))

    async def _send_outcome(self, start: tasks.Start, posts: list[tuple[Outcome, int]]) -> None:
        """Have the outcome recorded later; if not even that works, try the record once more."""
        posted = tuple(
            tasks.Posted(kind=outcome.kind, reason=outcome.reason, status=outcome.status, mdc_id=outcome.mdc_id, at=at)
            for outcome, at in posts[-20:]
        )
        message = tasks.OutcomeNote(received_ms=start.received_ms, start=start, posts=posted)
        try:
            await self._to_facts(message, _OUTCOME_PATIENCE_MS)
        except QueueUnavailable as error:
            self._log("ERROR", "error", where="outcome", what=str(error), stream=stream_key(start.stream_id))
            await self.note_outcome(message)

    async def _to_facts(self, message: tasks.OutcomeNote, patience_ms: float) -> None:
        """Have it written down later. A region that is away may be the records' own, and that of the queue "facts", so another region's
        queue of starts is good enough. Raises `QueueUnavailable`."""
        body = tasks.encode(message)
        try:
            await insist(self._queues["facts"], self._clock, "/events", body, patience_ms)
        except QueueUnavailable:
            if "handoffs-second" not in self._queues:
                raise
            await insist(self._queues["handoffs-second"], self._clock, "/events", body, patience_ms)

    async def note_outcome(self, message: tasks.OutcomeNote) -> str:
        """Record the outcome of a start that was handed on without the store. Idempotent. Returns the hand-off's state."""
        start, now = message.start, self._clock.now_ms()
        begun = _begun(start)
        outcomes = [(_outcome_of(post), post.at) for post in message.posts]

        def decide(facts: Facts, handoffs: Mapping[str, HandOff]) -> Change[str]:
            facts = _completed(facts, start)
            after, run = known.with_run(facts, begun, self._settings.deployment)
            handoff = handoffs.get(run.key) or record.new(after, run.key, start.server_urls, run.epoch, now)
            handoff = record.after_posts(handoff, outcomes, now, self._rules)
            changes = {key: record.settle(other, after, now, self._rules) for key, other in handoffs.items() if after.run(key)}
            changes[run.key] = self._settled(handoff, after, now)
            return Change(after, changes, run.key)

        changed = await self._records.change_stream(_first_facts(start, now), lambda facts: self._relevant(facts, begun), decide)
        key = changed.result
        for before, after in changed.handoffs:
            other = next((outcome.mdc_id for outcome, _ in outcomes if record.doubled(after, outcome.mdc_id)), None)
            if after.key == key and other is not None:
                self._log("ALERT", "handoff_doubled", mdc_id=after.attempt.mdc_id, other=other, **ids(after))
            self._log("NOTICE", "outcome_noted", state=after.attempt.state, before=before and before.attempt.state, **ids(after))
        return next(after.attempt.state for _, after in changed.handoffs if after.key == key)


def _is_news(start: tasks.Start, joined: HandOff, facts: Facts) -> bool:
    """Whether a start says more than is known: the newest one, on the servers where the stream is already."""
    begins = not start.event.endswith("_interrupted")
    return begins and start.dated and start.event_ts > joined.attempt.start_ts and facts.is_newest(joined.key)


def _begun(start: tasks.Start) -> Begun:
    return Begun(stream_id=start.stream_id, server_urls=start.server_urls, event_ts=start.event_ts, dated=start.dated)


def _first_facts(start: tasks.Start, now: int) -> Facts:
    return Facts(
        key=stream_key(start.stream_id),
        stream_id=start.stream_id,
        product=start.product,
        entity_id=start.entity_id,
        account_id=start.account_id,
        created_at=now,
    )


def _completed(facts: Facts, start: tasks.Start) -> Facts:
    """A stop may have come first, without the ids of the meeting."""
    if facts.revoked_ts or (facts.entity_id and facts.account_id):
        return facts
    return replace(facts, entity_id=facts.entity_id or start.entity_id, account_id=facts.account_id or start.account_id)


def facts_of(handoff: HandOff) -> Facts:
    """The least that is known of a stream whose facts are gone."""
    run = known.Run(key=handoff.key, server_urls=handoff.server_urls, epoch=handoff.epoch, newest_ts=handoff.attempt.start_ts)
    return Facts(
        key=handoff.stream_key,
        stream_id=handoff.stream_id,
        product=handoff.product,
        entity_id=handoff.entity_id,
        account_id=handoff.account_id,
        created_at=handoff.created_at,
        runs=(run,),
    )


def _start_of(handoff: HandOff, start: tasks.Start | None) -> tasks.Start:
    """The start that created a hand-off, so that its outcome finds the same key."""
    event = start.event if start is not None else ""
    return tasks.Start(
        event=event,
        product=handoff.product,
        stream_id=handoff.stream_id,
        entity_id=handoff.entity_id,
        server_urls=handoff.server_urls,
        event_ts=handoff.epoch,
        account_id=handoff.account_id,
        received_ms=start.received_ms if start is not None else handoff.created_at,
    )


def _leased(handoff: HandOff, now: int, rules: Rules) -> HandOff:
    return replace(handoff, attempt=attempts.begin(handoff.attempt, now, rules))


def _outcome_of(post: tasks.Posted) -> Outcome:
    return Outcome(kind=post.kind, answer=str(post.status), reason=post.reason, status=post.status, mdc_id=post.mdc_id)
