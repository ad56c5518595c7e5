"""The webhook's use cases: verify, read the facts, put a task on a queue, acknowledge. The public side, which knows no database.

A start goes onto both hand-off queues at once, and is acknowledged once one has it. If neither takes it, the request keeps trying until
the stream can no longer be joined: an error answer never saves a start, since Zoom repeats it only after five minutes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from msgspec.structs import replace

from rtms_relay import budgets, recall, tasks, zoom
from rtms_relay.concurrently import some_done
from rtms_relay.enqueueing import enqueue_look, insist
from rtms_relay.errors import NotAuthentic, QueueUnavailable
from rtms_relay.handoff.keys import stream_key
from rtms_relay.handoff.retrieval import FINAL
from rtms_relay.logs import redact
from rtms_relay.ports import Clock, Job, Jobs, Log, QueueName, Queues, Severity
from rtms_relay.replies import Reply
from rtms_relay.settings import Settings
from rtms_relay.tolerant import Unusable

_UNSIGNED_LIMIT = 4096

Headers = Iterable[tuple[str, str]]


class Intake:
    """Holds the Zoom secret token and Recall's webhook secrets; never calls Recall."""

    def __init__(self, settings: Settings, queues: Queues, clock: Clock, jobs: Jobs, log: Log) -> None:
        self._settings = settings
        self._queues = queues
        self._clock = clock
        self._jobs = jobs
        self._log = log

    async def receive(self, headers: Headers, body: bytes) -> Reply:
        """One request of Zoom's. Raises `NotAuthentic` or `BadRequest` (nothing is enqueued), or `QueueUnavailable`."""
        headers = list(headers)
        event, secret = self._verified(headers, body)
        match event:
            case zoom.Challenge(plain_token):
                return Reply(dict(zoom.challenge_answer(secret, plain_token)), {"name": event.name, "outcome": "challenge"})
            case zoom.Started():
                return await self._started(event, event.server_urls, event.account_id)
            case zoom.Interrupted() if event.server_urls is not None:
                return await self._started(event, event.server_urls, "")
            case zoom.Interrupted():
                return await self._noted(event, tasks.Interruption(**self._common(event)))
            case zoom.Stopped():
                return await self._noted(event, tasks.Stop(**self._common(event), stop_reason=event.stop_reason))
            case Unusable():
                return await self._unusable("zoom", event, body)
            case _:
                return self._about_the_account(event)

    def _about_the_account(self, event: zoom.Deauthorized | zoom.Notice | zoom.Unknown) -> Reply:
        match event:
            case zoom.Deauthorized(account_id, user_id, client_id):
                severity: Severity = "ALERT" if self._settings.zoom_on_deauthorized == "alert" else "NOTICE"
                self._log(severity, "app_deauthorized", account_id=account_id, user_id=user_id, client_id=client_id)
                return Reply({"status": "noted"}, {"name": "app_deauthorized", "outcome": "noted"})
            case zoom.Notice(name, numbers):
                severity = "WARNING" if name == "rtms.concurrency_near_limit" else "ALERT"
                self._log(severity, "concurrency", name=name, **numbers)
                return Reply({"status": "noted"}, {"name": name, "outcome": "noted"})
            case zoom.Unknown(name):
                self._log("INFO", "event_ignored", name=name, vendor="zoom")
                return Reply({"status": "ignored"}, {"name": name, "outcome": "ignored"})

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

    # Starts

    async def _started(self, event: zoom.Started | zoom.Interrupted, server_urls: str, account_id: str) -> Reply:
        """Put a start on both hand-off queues. Raises `QueueUnavailable` if neither took it as long as the stream could be joined."""
        now = self._clock.now_ms()
        left_ms = event.event_ts + self._settings.zoom_connect_window_s * 1000 - now
        patience_ms = min(max(left_ms, budgets.REPEATED_ACK_MS), budgets.MAX_WINDOW_MS)
        start = tasks.Start(**self._common(event), server_urls=server_urls, account_id=account_id, dated=not event.undated)
        copies: list[tuple[QueueName, tasks.Copy, int | None]] = [("handoffs", "home", None)]
        if "handoffs-second" in self._queues:
            copies.append(("handoffs-second", "second", now + budgets.SECOND_REGION_DELAY_MS))
        running = [self._jobs.start(self._copy(queue, start, copy, at, patience_ms), f"enqueue {queue}") for queue, copy, at in copies]
        await self._first_taken(running)
        taken = [queue for (queue, _, _), job in zip(copies, running, strict=True) if job.done() and job.result()]
        if not taken:
            raise QueueUnavailable("no hand-off queue took the start")
        notes = self._notes(event, "enqueued") | {"queues": taken}
        self._log("NOTICE", "start_acked", **notes)
        return Reply({"status": "enqueued", "stream": notes["stream"]}, notes)

    async def _first_taken(self, running: Sequence[Job[bool]]) -> None:
        """Return once a queue took its copy and the other one had a moment more, or when none did."""
        open_ = list(running)
        while open_ and not any(job.done() and job.result() for job in running):
            await self._jobs.any_done(open_)
            open_ = [job for job in running if not job.done()]
        if open_:
            await some_done(self._jobs, self._clock, budgets.ACK_SLACK_MS / 1000, open_, "the other queue")

    async def _copy(self, queue: QueueName, start: tasks.Start, copy: tasks.Copy, at: int | None, patience_ms: float) -> bool:
        """Whether a queue took its copy in the end."""
        message = tasks.encode(replace(start, copy=copy))
        try:
            await insist(self._queues[queue], self._clock, "/events", message, patience_ms, not_before_ms=at)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other queue may still take the start
            self._log("ERROR", "error", where=f"enqueue {queue}", what=str(error), stream=stream_key(start.stream_id))
            return False
        return True

    # Everything else

    async def _noted(self, event: zoom.Stopped | zoom.Interrupted, task: tasks.Stop | tasks.Interruption) -> Reply:
        await insist(self._queues["facts"], self._clock, "/events", tasks.encode(task), budgets.REPEATED_ACK_MS)
        notes = self._notes(event, "enqueued")
        return Reply({"status": "enqueued", "stream": notes["stream"]}, notes)

    async def _unusable(self, vendor: Literal["zoom", "recall"], event: Unusable, body: bytes) -> Reply:
        """An authentic event is not sent back: the vendor would only repeat the same. A person must look at it, and a copy is kept."""
        self._log("ALERT", "event_unusable", vendor=vendor, name=event.name, reason=event.reason, keys=event.keys, ids=event.ids)
        text = redact(body[: budgets.UNUSABLE_BYTES].decode("utf-8", "replace"), self._settings.secrets())
        task = tasks.UnusableEvent(
            received_ms=self._clock.now_ms(), vendor=vendor, reason=event.reason, event=event.name, keys=tuple(event.keys), copy=text
        )
        try:
            await insist(self._queues["facts"], self._clock, "/events", tasks.encode(task), budgets.REPEATED_ACK_MS)
        except QueueUnavailable as error:
            self._log("ERROR", "error", where="keep an unusable event", what=str(error))
        return Reply({"status": "unusable", "reason": event.reason}, {"name": event.name, "outcome": "unusable"})

    async def observe(self, headers: Headers, body: bytes) -> Reply:
        """One webhook of Recall's. Raises as `receive`. What names no hand-off is acknowledged: the sweep finds its recording."""
        secrets = self._settings.recall_webhook_secrets
        if not secrets:
            raise NotAuthentic("RECALL_WEBHOOK_SECRETS is not set, so no webhook of Recall's can be verified")
        now = self._clock.now_ms()
        message = recall.verify_webhook(secrets, headers, body, now_ms=now)
        event = recall.parse_webhook(body)
        if isinstance(event, Unusable):
            return await self._unusable("recall", event, body)
        notes = {"name": event.name, "recording": event.recording_id, "code": event.code}
        if event.handoff is None:
            self._log("INFO", "event_ignored", name=event.name, vendor="recall", recording=event.recording_id)
            return Reply({"status": "ignored"}, {**notes, "outcome": "ignored"})
        look = tasks.Look(received_ms=now, handoff=event.handoff, recording_id=event.recording_id, message=message)
        # An end is read at once. What only begins can wait for the next half minute, and leaves this one's look to an end in it.
        soon, next_slot = now + budgets.LOOK_DELAY_MS, (now // budgets.LOOK_SLOT_MS + 1) * budgets.LOOK_SLOT_MS
        await enqueue_look(self._queues["retrievals"], look, soon if event.code in FINAL else next_slot)
        return Reply({"status": "enqueued"}, {**notes, "outcome": "enqueued", "handoff": event.handoff})

    def _common(self, event: zoom.Started | zoom.Stopped | zoom.Interrupted) -> dict[str, Any]:
        return {
            "received_ms": self._clock.now_ms(),
            "event": event.name,
            "product": event.product,
            "stream_id": event.stream_id,
            "entity_id": event.entity_id,
            "event_ts": event.event_ts,
        }

    def _notes(self, event: zoom.Started | zoom.Stopped | zoom.Interrupted, outcome: str) -> dict[str, Any]:
        return {
            "name": event.name,
            "outcome": outcome,
            "stream": stream_key(event.stream_id),
            "entity_id": event.entity_id,
            "rtms_stream_id": event.stream_id,
            "latency_ms": self._clock.now_ms() - event.event_ts,
        }
