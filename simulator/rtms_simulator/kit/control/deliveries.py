"""Webhooks of both vendors: what was sent, sending one again, sending one that nothing caused."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import msgspec

from rtms_simulator.control.answers import (
    DeliveryAttempt,
    DeliveryDetail,
    DeliveryList,
    DeliveryQuery,
    DeliveryRow,
    NewDelivery,
    NewValidation,
    Replay,
    SentRequest,
    ValidationDone,
)
from rtms_simulator.control.operations import IMPOSSIBLE, NOT_FOUND, Call, ControlOperation, impossible, missing
from rtms_simulator.kit.control.fakes import Fakes
from rtms_simulator.kit.control.links import Links
from rtms_simulator.kit.rows import zoom_row
from rtms_simulator.recall.webhooks.sender import Message
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.sender import Delivery


def recall_row(message: Message, links: Links) -> DeliveryRow:
    """A webhook of Recall's."""
    link = links.in_text(message.body.decode("utf-8", "replace"))
    return DeliveryRow(
        id=message.id,
        vendor="recall",
        event=message.event,
        at=message.created_at,
        url=message.endpoint.settings.url,
        outcome=message.state,
        attempts=[
            DeliveryAttempt(at=attempt.at, status=attempt.status, problem=attempt.error or "", latency_ms=None)
            for attempt in message.attempts
        ],
        faults=[],
        without_effect=[],
        meeting=link.meeting,
        stream=link.stream,
        mdc=link.mdc,
        recording=link.recording,
    )


def rows(fakes: Fakes) -> list[DeliveryRow]:
    """All, oldest first."""
    links = fakes.links()
    zooms = [zoom_row(one, links) for one in fakes.zoom.webhooks.deliveries]
    recalls = [recall_row(one, links) for one in fakes.recall.webhooks.messages]
    return sorted([*zooms, *recalls], key=lambda row: row.at)


def chosen(deliveries: Sequence[DeliveryRow], query: DeliveryQuery) -> list[DeliveryRow]:
    """Those that the query asks for, the newest `limit` of them."""

    def fits(row: DeliveryRow) -> bool:
        statuses = [str(attempt.status) for attempt in row.attempts]
        return (
            query.vendor in (None, row.vendor)
            and (query.event is None or fnmatchcase(row.event, query.event))
            and (query.status is None or query.status in (row.outcome, *statuses))
            and (query.meeting is None or query.meeting in (str(row.meeting), row.stream))
            and (query.since is None or row.at >= query.since)
        )

    return [row for row in deliveries if fits(row)][-query.limit :]


def delivery_operations(fakes: Fakes) -> list[ControlOperation]:
    async def listed(call: Call) -> DeliveryList:
        return DeliveryList(deliveries=chosen(rows(fakes), call.query))

    async def shown(call: Call) -> DeliveryDetail:
        return _detail(fakes, call.path["id"])

    async def sent(call: Call) -> DeliveryRow:
        return await _send(fakes, call.body)

    async def replayed(call: Call) -> DeliveryRow:
        return await _replay(fakes, call.path["id"], call.body)

    async def validated(call: Call) -> ValidationDone:
        validation = await fakes.zoom.validate(call.body.webhook_url)
        standing = fakes.zoom.webhooks.standings[call.body.webhook_url]
        return ValidationDone(ok=validation.ok, problem=validation.problem, disabled=standing.disabled, mails=list(standing.mails))

    return [
        ControlOperation(
            "GET", "/deliveries", "webhooks of both vendors with every attempt, oldest first", listed, DeliveryList, query=DeliveryQuery
        ),
        ControlOperation("POST", "/deliveries", "send an event of Zoom's", sent, DeliveryRow, body=NewDelivery, refuses=IMPOSSIBLE),
        ControlOperation("GET", "/deliveries/{id}", "one webhook with headers, body and answers", shown, DeliveryDetail, refuses=NOT_FOUND),
        ControlOperation(
            "POST",
            "/deliveries/{id}/replay",
            "send it again: Zoom's freshly signed, Recall's with its old id",
            replayed,
            DeliveryRow,
            body=Replay,
            refuses={**NOT_FOUND, **IMPOSSIBLE},
        ),
        ControlOperation("POST", "/validations", "challenge an endpoint as Zoom does", validated, ValidationDone, body=NewValidation),
    ]


def _found(fakes: Fakes, identity: str) -> Delivery | Message:
    for delivery in fakes.zoom.webhooks.deliveries:
        if str(delivery.id) == identity:
            return delivery
    for message in fakes.recall.webhooks.messages:
        if message.id == identity:
            return message
    raise missing("delivery", repr(identity), "GET /deliveries lists them")


def _detail(fakes: Fakes, identity: str) -> DeliveryDetail:
    entry, links = _found(fakes, identity), fakes.links()
    if isinstance(entry, Message):
        requests = [SentRequest(headers=dict(getattr(attempt, "headers", {})), answer="") for attempt in entry.attempts]
        return DeliveryDetail(delivery=recall_row(entry, links), body=entry.body.decode("utf-8", "replace"), requests=requests)
    requests = [SentRequest(headers=dict(one.headers), answer=one.answer.decode("utf-8", "replace")) for one in entry.attempts]
    return DeliveryDetail(delivery=zoom_row(entry, links), body=entry.body.decode("utf-8", "replace"), requests=requests)


def _receiver(fakes: Fakes, webhook_url: str | None) -> str:
    url = webhook_url or fakes.webhook_url()
    if not url:
        raise impossible("no webhook is known here: name one as webhook_url")
    return url


async def _send(fakes: Fakes, new: NewDelivery) -> DeliveryRow:
    example = events.EVENTS.get(new.event)
    style = events.STYLES.get(new.style or "zoom")
    if style is None:
        raise impossible(f"there is no style {new.style!r} (allowed: {', '.join(events.STYLES)})")
    if new.payload is None and example is None:
        raise impossible(f"Zoom documents no event {new.event!r}: give its payload, or choose one of {', '.join(events.EVENTS)}")
    payload = new.payload if new.payload is not None else msgspec.to_builtins(example.payload if example else {})
    event = events.WebhookEvent(new.event, payload, fakes.clock.now_ms() if new.event_ts is None else new.event_ts)
    delivery = await fakes.zoom.deliver(event, fakes.zoom.endpoint(_receiver(fakes, new.webhook_url)), style=style)
    return zoom_row(delivery, fakes.links())


async def _replay(fakes: Fakes, identity: str, replay: Replay) -> DeliveryRow:
    entry = _found(fakes, identity)
    if isinstance(entry, Message):
        if replay.webhook_url is not None:
            raise impossible("a message of Recall's goes to its own endpoint: leave webhook_url out")
        for message in fakes.recall.webhooks.messages:
            if message.id == identity:  # one message goes to every endpoint that has its event ticked
                fakes.recall.webhooks.resend(message)
        return recall_row(entry, fakes.links())
    delivery = await fakes.zoom.webhooks.replay(entry.id, fakes.zoom.endpoint(replay.webhook_url or entry.url))
    return zoom_row(delivery, fakes.links())
