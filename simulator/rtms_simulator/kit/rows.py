"""What Zoom's side has done, as rows of the control plane's answers; meetings played without a control plane are shown by them, too."""

from __future__ import annotations

from rtms_simulator.control.answers import DeliveryAttempt, DeliveryRow, MediaRow, MeetingRow, Note, StreamRow
from rtms_simulator.kit.control.links import Links
from rtms_simulator.zoom import MeetingReport
from rtms_simulator.zoom.webhooks.sender import Delivery, WebhookAttempt

NO_LINKS = Links({}, {}, {})


def zoom_row(delivery: Delivery, links: Links) -> DeliveryRow:
    """A webhook of Zoom's."""
    payload = delivery.event.payload
    stream = payload.get("rtms_stream_id") or _object(payload.get("object")).get("rtms_stream_id")
    link = links.of_stream(stream if isinstance(stream, str) else None)
    at = delivery.attempts[0].at if delivery.attempts else delivery.event.event_ts / 1000
    return DeliveryRow(
        id=str(delivery.id),
        vendor="zoom",
        event=delivery.event.name,
        at=at,
        url=delivery.url,
        outcome=delivery.outcome,
        attempts=[_zoom_attempt(attempt) for attempt in delivery.attempts],
        faults=list(delivery.faults),
        without_effect=list(delivery.without_effect),
        meeting=link.meeting,
        stream=link.stream,
        mdc=None,
        recording=None,
    )


def meeting_row(report: MeetingReport, links: Links) -> MeetingRow:
    return MeetingRow(
        id=report.id,
        scenario=report.scenario,
        product=report.product,
        entity_id=report.entity_id,
        meeting_id=report.meeting_id,
        seed=report.seed,
        speed=report.speed,
        started_ms=report.started_ms,
        ended_ms=report.ended_ms,
        joined=report.joined,
        streams=[
            StreamRow(
                stream_id=stream.stream_id,
                client_id=stream.client_id,
                server_urls=list(stream.server_urls),
                state=stream.state,
                joined_ms=stream.joined_ms,
                ended_ms=stream.ended_ms,
                stop_reason=stream.stop_reason,
                keep_alives=stream.keep_alives,
                complaints=stream.complaints,
                sent={kind: MediaRow(**sent) for kind, sent in stream.sent.items()},
                problem=stream.problem,
            )
            for stream in report.streams
        ],
        deliveries=[zoom_row(delivery, links) for delivery in report.deliveries],
        timeline=[Note(ms=ms, what=what) for ms, what in report.timeline],
        idle_faults=list(report.idle_faults),
    )


def notes(row: MeetingRow) -> list[Note]:
    """What has happened, as lines of a log: the meeting's own notes, who joined, how each delivery was answered."""
    entries = [*row.timeline]
    entries += [Note(ms=one.joined_ms, what=f"stream {one.stream_id} joined") for one in row.streams if one.joined_ms is not None]
    for delivery in row.deliveries:
        for attempt in delivery.attempts:
            latency_ms = attempt.latency_ms or 0.0
            how = f"answered {attempt.status}" if (attempt.status or 0) > 0 else f"not answered: {attempt.problem}"
            ms = round(attempt.at * 1000 + latency_ms) - row.started_ms
            entries.append(Note(ms=ms, what=f"{delivery.event} {how} after {latency_ms:.0f} ms"))
    return entries


def _zoom_attempt(attempt: WebhookAttempt) -> DeliveryAttempt:
    return DeliveryAttempt(at=attempt.at, status=attempt.status, problem=attempt.problem, latency_ms=round(attempt.latency_s * 1000, 3))


def _object(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
