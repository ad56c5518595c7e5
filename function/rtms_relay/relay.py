"""The use cases: `Intake` receives both vendors' webhooks, `Worker` hands on, retrieves and sweeps.

Each method ends with everything durable or raises. There is no transaction anywhere: single conditional writes in an order in
which a crash between any two leaves a record whose `due_at` brings the sweeper to it, and every step is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rtms_relay import handoff as states
from rtms_relay import recall, zoom
from rtms_relay.errors import NotAuthentic, QueueUnavailable, RelayError
from rtms_relay.handoff import HandOff, Post, Rules, Stream, Wait
from rtms_relay.ports import Archive, Clock, Log, Outcome, Queue, Randomness, RecallApi, Recording, Severity, Store, TaskKind
from rtms_relay.records import Records
from rtms_relay.retrieval import Retrieval
from rtms_relay.settings import Settings
from rtms_relay.tolerant import Unusable

SWEEP_LIMIT = 1000
SOON_MS = 300_000
"""A look due within this time is enqueued; a later one is left to the sweeper."""

_INLINE_LIMIT = 20
_UNSIGNED_LIMIT = 4096
_ENQUEUE_BUDGET_MS = 1500
_ENQUEUE_PAUSE_S = 0.1

Headers = Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer with 200, and what to note on the request's one log line."""

    body: dict[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)


def rules(settings: Settings) -> Rules:
    return Rules(
        connect_window_ms=int(settings.zoom_connect_window_s * 1000),
        lease_ms=int((settings.recall_timeout_s + 5) * 1000),
        poll_ms=int(settings.retrieval_poll_s * 1000),
        give_up_ms=int(settings.retrieval_give_up_s * 1000),
    )


class _Desk:
    """What both sides share: the records, telling what changed, enqueueing."""

    def __init__(self, settings: Settings, store: Store, queue: Queue, clock: Clock, randomness: Randomness, log: Log) -> None:
        self._settings = settings
        self._rules = rules(settings)
        self._queue = queue
        self._clock = clock
        self._randomness = randomness
        self._log = log
        self._records = Records(store, clock, randomness, log, int(settings.records_keep_days * 86_400_000))

    async def _settle(self, key: str, stream: Stream) -> HandOff | None:
        """Bring a stored hand-off in line with its stream, tell it, and see that a look that is due is enqueued."""
        now = self._clock.now_ms()
        changed = await self._records.change_handoff(key, lambda h: states.settle(h, stream, now, self._rules))
        if changed is None:
            return None
        self._tell(*changed)
        await self._enqueue_look(*changed)
        return changed[1]

    async def _settle_others(self, key: str, stream: Stream) -> None:
        for other in stream.starts:
            if other != key:
                await self._settle(other, stream)

    async def _enqueue_look(self, before: HandOff | None, after: HandOff) -> None:
        """Best effort: the record's `due_at` holds the same promise."""
        at = after.look_at
        if at is None or at - self._clock.now_ms() > SOON_MS or (before is not None and before.look_at == at):
            return
        try:
            await self._queue.enqueue("retrieve", after.key, not_before_ms=at, dedupe=f"look-{at}")
        except QueueUnavailable as error:
            self._log("WARNING", "error", where="enqueue", what=str(error), handoff=after.key)

    async def _enqueue_attempt(self, key: str, dedupe: str, not_before_ms: int | None = None) -> None:
        """Try for a moment, within what is left of Zoom's 3 seconds. Raises `QueueUnavailable`."""
        began = self._clock.now_ms()
        while True:
            try:
                return await self._queue.enqueue("handoff", key, not_before_ms=not_before_ms, dedupe=dedupe)
            except QueueUnavailable:
                if self._clock.now_ms() - began >= _ENQUEUE_BUDGET_MS:
                    raise
            await self._clock.sleep(_ENQUEUE_PAUSE_S)

    def _tell(self, before: HandOff | None, after: HandOff, *, alert: bool = False) -> None:
        """Log a change of state, at the severity it deserves. `alert`: what failed it will fail every other hand-off too."""
        if before is not None and before.state == after.state:
            return
        known = {"handoff": after.key, "stream": after.stream_key, "product": after.product, "state": after.state, "reason": after.reason}
        since = self._clock.now_ms() - after.event_ts
        match after.state:
            case "expired":
                self._log("ALERT", "handoff_expired", since_event_ms=since, **known)
            case "failed":
                self._log("ALERT" if alert else "ERROR", "handoff_failed", **known)
            case "accepted":
                self._log("NOTICE", "handoff_accepted", mdc_id=after.mdc_id, since_event_ms=since, **known)
            case _ if before is not None:
                self._log("NOTICE", "handoff_changed", before=before.state, **known)
            case _:
                self._log("NOTICE", "handoff_created", since_event_ms=since, **known)


class Intake(_Desk):
    """The public side. Holds the Zoom secret token and Recall's webhook secrets; never calls Recall."""

    async def receive(self, headers: Headers, body: bytes) -> Reply:
        """One request of Zoom's. Raises `NotAuthentic` or `BadRequest` (nothing stored, nothing enqueued), or `StoreError`,
        `QueueUnavailable` if what must be durable before the ack is not."""
        headers = list(headers)
        event, secret = self._verified(headers, body)
        match event:
            case zoom.Challenge(plain_token):
                return Reply(dict(zoom.challenge_answer(secret, plain_token)), {"name": event.name, "outcome": "challenge"})
            case zoom.Started():
                return await self._started(event)
            case zoom.Stopped():
                return await self._stopped(event)
            case zoom.Interrupted():
                return await self._interrupted(event)
            case zoom.Deauthorized(account_id, user_id, client_id):
                severity: Severity = "ALERT" if self._settings.zoom_on_deauthorized == "alert" else "NOTICE"
                self._log(severity, "app_deauthorized", account_id=account_id, user_id=user_id, client_id=client_id)
                return Reply({"status": "noted"}, {"name": "app_deauthorized", "outcome": "noted"})
            case zoom.Notice(name, numbers):
                severity = "WARNING" if name == "rtms.concurrency_near_limit" else "ERROR"
                self._log(severity, "concurrency", name=name, **numbers)
                return Reply({"status": "noted"}, {"name": name, "outcome": "noted"})
            case zoom.Unknown(name):
                self._log("INFO", "event_ignored", name=name, vendor="zoom")
                return Reply({"status": "ignored"}, {"name": name, "outcome": "ignored"})
            case Unusable():
                return self._unusable("zoom", event)

    def _unusable(self, vendor: str, event: Unusable) -> Reply:
        """An authentic event is not sent back: the vendor would only repeat the same. A person must look at it."""
        self._log("ALERT", "event_unusable", vendor=vendor, name=event.name, reason=event.reason, keys=event.keys, ids=event.ids)
        return Reply({"status": "unusable", "reason": event.reason}, {"name": event.name, "outcome": "unusable"})

    def _verified(self, headers: list[tuple[str, str]], body: bytes) -> tuple[zoom.Event, str]:
        """The event, and the secret it was signed with. Only an unsigned challenge passes without a signature."""
        if zoom.is_signed(headers):
            settings = self._settings
            secret = zoom.verify(
                (settings.zoom_secret_token, settings.zoom_secret_token_previous),
                headers,
                body,
                now_ms=self._clock.now_ms(),
                window_s=settings.zoom_signature_window_s,
            )
            return zoom.parse(body, signed_at_ms=zoom.signed_at_ms(headers)), secret
        if len(body) <= _UNSIGNED_LIMIT:
            event = zoom.parse(body)
            if isinstance(event, zoom.Challenge):
                return event, self._settings.zoom_secret_token
        raise NotAuthentic(f"the headers {zoom.SIGNATURE_HEADER} and {zoom.TIMESTAMP_HEADER} are required")

    async def _started(self, event: zoom.Started) -> Reply:
        now = self._clock.now_ms()
        key, stream_key = states.handoff_key(event.stream_id, event.server_urls), states.stream_key(event.stream_id)
        fresh = HandOff(
            key=key,
            stream_key=stream_key,
            product=event.product,
            entity_id=event.entity_id,
            stream_id=event.stream_id,
            server_urls=event.server_urls,
            account_id=event.account_id,
            event_ts=event.event_ts,
            created_at=now,
            state_at=now,
            attempt_at=now,
        )
        refusal = zoom.refused_host(event.server_urls, self._settings.zoom_server_hosts)
        if refusal is not None:
            fresh = states.refuse(fresh, refusal, now)
        # The hand-off first: from here on it is found by the sweeper, whose attempt notes it on the stream if we no longer do.
        created = await self._records.create(fresh)
        if created:
            self._tell(None, fresh)
        stream = await self._records.change_stream(
            _new_stream(event, now), lambda s: states.with_start(s, key, event.event_ts), expect_new=created
        )
        handoff = fresh
        # In the usual case nothing known of the stream changes a fresh hand-off, and it need not be read again.
        if not created or states.settle(fresh, stream, now, self._rules) != fresh:
            handoff = await self._settle(key, stream) or fresh
        if handoff.state == "pending":
            await self._enqueue_attempt(key, "" if created else f"again-{now}")
        await self._settle_others(key, stream)
        outcome = "created" if created else "duplicate"
        return Reply(
            {"status": outcome, "handoff": key, "state": handoff.state},
            _notes(event, outcome, now) | {"handoff": key, "state": handoff.state},
        )

    async def _stopped(self, event: zoom.Stopped) -> Reply:
        now = self._clock.now_ms()
        revokes = event.stop_reason == zoom.STREAM_REVOKED
        stream = await self._records.change_stream(
            _new_stream(event, now), lambda s: states.with_stop(s, event.event_ts, event.stop_reason, revokes), expect_new=False
        )
        name = "stream_revoked" if revokes else "stream_stopped"
        self._log("NOTICE", name, stream=stream.key, stop_reason=event.stop_reason, handoffs=len(stream.starts))
        await self._settle_others("", stream)
        return Reply({"status": "noted"}, _notes(event, "noted", now) | {"stream": stream.key})

    async def _interrupted(self, event: zoom.Interrupted) -> Reply:
        now = self._clock.now_ms()
        stream = await self._records.change_stream(
            _new_stream(event, now), lambda s: states.with_interruption(s, event.event_ts), expect_new=False
        )
        if event.server_urls is not None and (entity_id := event.entity_id or stream.entity_id):
            start = zoom.Started(event.product, entity_id, event.stream_id, event.server_urls, event.event_ts, name=event.name)
            return await self._started(start)
        return Reply({"status": "noted"}, _notes(event, "noted", now) | {"stream": stream.key})

    async def observe(self, headers: Headers, body: bytes) -> Reply:
        """One webhook of Recall's. Raises as `receive`. What cannot be matched to a hand-off is acknowledged: the sweep finds it."""
        secrets = self._settings.recall_webhook_secrets
        if not secrets:
            raise NotAuthentic("RECALL_WEBHOOK_SECRETS is not set, so no webhook of Recall's can be verified")
        now = self._clock.now_ms()
        message_id = recall.verify_webhook(secrets, headers, body, now_ms=now)
        event = recall.parse_webhook(body)
        if isinstance(event, Unusable):
            return self._unusable("recall", event)
        notes = {"name": event.name}
        if event.handoff is None:
            self._log("INFO", "event_ignored", name=event.name, vendor="recall", recording=event.recording_id)
            return Reply({"status": "ignored"}, {**notes, "outcome": "ignored"})
        noted = _noted(event)
        changed = await self._records.change_handoff(event.handoff, lambda h: states.note_webhook(h, message_id, noted, now))
        if changed is None:
            self._log("WARNING", "recall_event", name=event.name, known=False, handoff=event.handoff)
            return Reply({"status": "unknown"}, {**notes, "outcome": "unknown", "handoff": event.handoff})
        before, after = changed
        self._tell(before, after)
        if after == before:
            if after.look_at is not None and after.look_at <= now:
                await self._enqueue_look(None, after)
            return Reply({"status": "duplicate"}, {**notes, "outcome": "duplicate", "handoff": event.handoff})
        self._log("INFO", "recall_event", name=event.name, known=True, handoff=event.handoff, code=event.code, recording=event.recording_id)
        await self._enqueue_look(before, after)
        return Reply({"status": "noted"}, {**notes, "outcome": "noted", "handoff": event.handoff})


def _noted(event: recall.RecallEvent) -> Recording | None:
    """What a webhook tells of a recording; an artifact's status is not the recording's, but is worth a look."""
    if event.recording_id is None:
        return None
    if not event.is_recording:
        return Recording(id=event.recording_id, status="processing")
    return Recording(id=event.recording_id, status=event.code or "processing", sub_code=event.sub_code, updated_at=event.updated_at)


def _new_stream(event: zoom.Started | zoom.Stopped | zoom.Interrupted, now: int) -> Stream:
    return Stream(
        key=states.stream_key(event.stream_id),
        stream_id=event.stream_id,
        product=event.product,
        entity_id=event.entity_id,
        account_id=event.account_id if isinstance(event, zoom.Started) else "",
        created_at=now,
    )


def _notes(event: zoom.Started | zoom.Stopped | zoom.Interrupted, outcome: str, now: int) -> dict[str, Any]:
    return {"name": event.name, "outcome": outcome, "latency_ms": now - event.event_ts}


class Worker(_Desk):
    """The private side. Holds the Recall key and the Zoom client secret."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        queue: Queue,
        clock: Clock,
        randomness: Randomness,
        log: Log,
        recall_api: RecallApi,
        archive: Archive | None = None,
    ) -> None:
        super().__init__(settings, store, queue, clock, randomness, log)
        self._recall = recall_api
        self.retrieval = Retrieval(self._records, recall_api, archive, clock, log, self._rules)

    async def attempt(self, key: str) -> Reply:
        """Do the next step of one hand-off: POST it, or find that it is too early, too late or done. At most one POST.

        Raises `StoreError` or `QueueUnavailable`: the task is to be delivered again."""
        post = await self._begin(key)
        if isinstance(post, Reply):
            return post
        record = post.record
        body = recall.create_body(
            entity_id=record.entity_id,
            entity_field=self._entity_field(record),
            stream_id=record.stream_id,
            server_urls=record.server_urls,
            signature=zoom.rtms_signature(
                self._settings.zoom_client_id, self._settings.zoom_client_secret, record.entity_id, record.stream_id
            ),
            handoff=key,
            recording_config=self._settings.recall_recording_config,
        )
        answer = await self._recall.create(body, post.idempotency_key)
        outcome = recall.classify(answer)
        now, jitter = self._clock.now_ms(), self._randomness.uniform(0, 1)
        stream = await self._records.stream(record.stream_key)
        return await self._end(post, outcome, answer.status, now, jitter, stream)

    async def _begin(self, key: str) -> Post | Reply:
        """Take the lease and store the Idempotency-Key, or say why there is nothing to POST."""
        for _ in range(10):
            found = await self._records.handoff(key)
            if found is None:
                self._log("WARNING", "attempt_skipped", handoff=key, why="no such hand-off")
                return Reply({"status": "unknown"}, {"outcome": "unknown"})
            before, version = found
            now = self._clock.now_ms()
            stream = await self._stream_of(before, now)
            settled = states.settle(before, stream, now, self._rules)
            if settled.state == "pending" and (refusal := zoom.refused_host(settled.server_urls, self._settings.zoom_server_hosts)):
                settled = states.refuse(settled, refusal, now)
            decision = states.decide_attempt(settled, now, self._randomness.token(), self._rules)
            after = decision.record if isinstance(decision, Post) else settled
            if after != before and not await self._records.replace_handoff(after, version):
                continue
            self._tell(before, after)
            await self._enqueue_look(before, after)
            await self._settle_others(key, stream)
            if isinstance(decision, Post):
                return await self._confirm(decision)
            if isinstance(decision, Wait):
                await self._enqueue_attempt(key, f"at-{decision.until}", decision.until)
                self._log("INFO", "attempt_skipped", handoff=key, why=decision.why, wait_s=(decision.until - now) / 1000)
                return Reply({"status": "waiting"}, {"outcome": "waiting", "handoff": key})
            self._log("INFO", "attempt_skipped", handoff=key, why=f"it is {after.state}", reason=after.reason)
            return Reply({"status": after.state}, {"outcome": after.state, "handoff": key})
        # A crowd at one record: let the queue try again a little later.
        at = self._clock.now_ms() + 1000
        await self._enqueue_attempt(key, f"at-{at}", at)
        return Reply({"status": "waiting"}, {"outcome": "contended", "handoff": key})

    async def _stream_of(self, handoff: HandOff, now: int) -> Stream:
        """The stream's facts, this hand-off's start among them even if the webhook crashed before it noted that."""
        initial = Stream(
            key=handoff.stream_key,
            stream_id=handoff.stream_id,
            product=handoff.product,
            entity_id=handoff.entity_id,
            account_id=handoff.account_id,
            created_at=now,
        )
        return await self._records.change_stream(initial, lambda s: states.with_start(s, handoff.key, handoff.event_ts), expect_new=False)

    async def _confirm(self, post: Post) -> Post | Reply:
        """Look at the stream once more, now that the lease is ours: whoever changed it before will not be overtaken by this POST."""
        stream = await self._records.stream(post.record.stream_key)
        now = self._clock.now_ms()
        if stream is None or states.settle(post.record, stream, now, self._rules).state == "pending":
            return post

        def give_back(handoff: HandOff) -> HandOff:
            return states.settle(states.release(handoff, post.number), stream, now, self._rules)

        changed = await self._records.change_handoff(post.record.key, give_back)
        if changed is None:
            return Reply({"status": "unknown"}, {"outcome": "unknown"})
        self._tell(*changed)
        await self._enqueue_look(*changed)
        self._log("INFO", "attempt_skipped", handoff=post.record.key, why=f"it became {changed[1].state}")
        return Reply({"status": changed[1].state}, {"outcome": changed[1].state, "handoff": post.record.key})

    async def _end(self, post: Post, outcome: Outcome, status: int, now: int, jitter: float, stream: Stream | None) -> Reply:
        """Write down what came of it, merged with whatever happened meanwhile."""
        key = post.record.key

        def write(handoff: HandOff) -> HandOff:
            handoff = states.after_answer(handoff, outcome, post, now, jitter, self._rules)
            return handoff if stream is None else states.settle(handoff, stream, now, self._rules)

        changed = await self._records.change_handoff(key, write)
        if changed is None:
            return Reply({"status": "unknown"}, {"outcome": "unknown"})
        before, after = changed
        wait_s = None if after.attempt_at is None else (after.attempt_at - now) / 1000
        self._log(
            "INFO" if outcome.kind == "accepted" else "WARNING",
            "attempt",
            handoff=key,
            stream=after.stream_key,
            number=post.number,
            status=status,
            outcome=outcome.kind,
            reason=outcome.reason,
            wait_s=wait_s,
        )
        if outcome.mdc_id and after.mdc_id and outcome.mdc_id != after.mdc_id:
            self._log("ALERT", "handoff_doubled", handoff=key, mdc_id=after.mdc_id, other=outcome.mdc_id)
        self._tell(before, after, alert=outcome.alert)
        await self._enqueue_look(before, after)
        if after.state == "pending":
            await self._enqueue_attempt(key, f"at-{after.attempt_at}", after.attempt_at)
        return Reply({"status": after.state}, {"outcome": outcome.kind, "handoff": key, "state": after.state})

    def _entity_field(self, handoff: HandOff) -> str:
        if self._settings.recall_entity_field == "own":
            return zoom.ENTITY_FIELDS[handoff.product]  # ty: ignore[invalid-argument-type]
        return "meeting_uuid"

    async def retrieve(self, key: str) -> Reply:
        """Look for the recordings of one hand-off, archive what is finished, or delete what was revoked."""
        before, after = await self.retrieval.look(key)
        if after is None:
            return Reply({"status": "unknown"}, {"outcome": "unknown"})
        self._tell(before, after)
        await self._enqueue_look(before, after)
        return Reply({"status": after.retrieval}, {"outcome": after.retrieval, "handoff": key})

    async def sweep(self) -> Reply:
        """Enqueue everything whose moment has passed without a task having done it. If the queue is down, do some of it here."""
        now = self._clock.now_ms()
        due = await self._records.due(now, SWEEP_LIMIT)
        enqueued, inline = 0, 0
        for handoff in due:
            for kind in _overdue(handoff, now):
                try:
                    await self._queue.enqueue(kind, handoff.key, dedupe=f"sweep-{now}")
                    enqueued += 1
                except QueueUnavailable as error:
                    self._log("ERROR", "error", where="sweep", what=str(error), handoff=handoff.key)
                    if inline < _INLINE_LIMIT:
                        inline += 1
                        await self._do(kind, handoff.key)
        self._log("WARNING" if inline else "INFO", "sweep", due=len(due), enqueued=enqueued, inline=inline)
        return Reply({"due": len(due), "enqueued": enqueued, "inline": inline}, {"outcome": "swept"})

    async def _do(self, kind: TaskKind, key: str) -> None:
        try:
            await (self.attempt(key) if kind == "handoff" else self.retrieve(key))
        except RelayError as error:
            self._log("ERROR", "error", where=f"sweep {kind}", what=str(error), handoff=key)


def _overdue(handoff: HandOff, now: int) -> list[TaskKind]:
    kinds: list[TaskKind] = []
    if handoff.attempt_due_at is not None and handoff.attempt_due_at <= now:
        kinds.append("handoff")
    if handoff.look_at is not None and handoff.look_at <= now:
        kinds.append("retrieve")
    return kinds
