"""`rtmskit events`: every delivery of the running `up`, both vendors', and sending one again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli.fakes.clock import why_refused
from rtms_simulator.cli.fakes.requests import ago
from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import as_text, from_text, say_json, table
from rtms_simulator.cli.play.outcome import BadInput, Failed, run
from rtms_simulator.cli.receiver import of_receiver, receiver

if TYPE_CHECKING:
    from rtms_simulator.cli.fakes.replayed import Replayed, ReplayedStory
    from rtms_simulator.control.answers import DeliveryRow
    from rtms_simulator.zoom.webhooks.events import WebhookEvent


@click.group()
def events() -> None:
    """Look at the deliveries of a running `up`, and replay them.

    Zoom's deliveries have numbers, Recall's have ids like msg_2Lk….
    """


@events.command("list")
@click.option("--vendor", type=click.Choice(["zoom", "recall"]), help="Of one vendor only.")
@click.option("--event", metavar="PATTERN", help="Such as *.rtms_started or recording.*")
@click.option(
    "--status",
    metavar="N|OUTCOME",
    help="With this HTTP status, or delivered, refused, failed, waiting, withheld (Zoom), pending, lost, disabled (Recall).",
)
@click.option("--meeting", metavar="N|STREAM", help="The number of a meeting, or a stream's id.")
@click.option("--since", metavar="AGO", help="Not older than this: 90s, 5m or 2h.")
@of_up
@as_json_option
def list_(
    vendor: str | None, event: str | None, status: str | None, meeting: str | None, since: str | None, up_file: Path, *, as_json: bool
) -> None:
    """List every delivery with its answers, oldest first."""
    from rtms_simulator.control.answers import DeliveryList

    described = find(up_file)
    query = {"vendor": vendor, "event": event, "status": status, "meeting": meeting, "since": since and ago(described, since)}
    listed = ask(described, "/deliveries", DeliveryList, query=query)
    if as_json:
        say_json({"events": listed.deliveries})
        return
    rows = [
        (_time(row.at), row.vendor, row.id, row.event, "" if row.meeting is None else str(row.meeting), row.outcome, _statuses(row))
        for row in listed.deliveries
    ]
    table(("at", "vendor", "id", "event", "meeting", "outcome", "answers"), rows)


@events.command()
@click.argument("id")
@of_up
@as_json_option
def show(id: str, up_file: Path, *, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Show one delivery: headers, body and answers."""
    from rtms_simulator.control.answers import DeliveryDetail

    detail = ask(find(up_file), f"/deliveries/{id}", DeliveryDetail)
    if as_json:
        say_json(detail)
    else:
        click.echo(as_text(detail, indent=2))


@events.command()
@click.argument("what", metavar="ID|FILE")
@of_receiver
@as_json_option
def replay(what: str, webhook_url: str | None, secret_token: str | None, up_file: Path, *, as_json: bool) -> None:
    """Send a delivery again: the same body with a fresh signature.

    ID is one of the running `up`; Recall's keep their id, as in a retry. FILE is what `events show ID --json` printed of one of Zoom's, on
    whatever day, and goes to --webhook or to the running `up`'s. Or it is the story of a simulation that broke a promise: then all its
    requests go out, one after the other, with their times moved so that the first event happens now.
    """
    from rtms_simulator.cli.fakes.replayed import ReplayedStory

    if what.isdigit() or what.startswith("msg_"):
        done: Replayed | ReplayedStory = _replay_one(what, webhook_url, up_file)
    else:
        done = _replay_file(Path(what), *receiver(webhook_url, secret_token, up_file)[:2])
    rows = done.requests if isinstance(done, ReplayedStory) else [done]
    if as_json:
        say_json(done)
    else:
        for row in rows:
            click.echo(f"{row.event}: {row.outcome} {', '.join(map(str, row.statuses))}".rstrip())
    refused = next((row for row in rows if row.outcome == "refused"), None)
    if refused is not None:
        status = refused.statuses[-1] or 0
        raise Failed(
            f"the receiver refused it with {status}", why_refused(status) or "`rtmskit events list` shows it, `events show` its answer."
        )


def _replay_one(identity: str, webhook_url: str | None, up_file: Path) -> Replayed:
    """What became of a delivery of the running `up`."""
    from rtms_simulator.cli.fakes.replayed import Replayed
    from rtms_simulator.control.answers import DeliveryRow

    body = {} if webhook_url is None else {"webhook_url": webhook_url}
    sent = ask(find(up_file), f"/deliveries/{identity}/replay", DeliveryRow, "POST", body)
    return Replayed(id=sent.id, event=sent.event, outcome=sent.outcome, statuses=[attempt.status for attempt in sent.attempts])


def _replay_file(file: Path, url: str, secret: str) -> Replayed | ReplayedStory:
    """What became of the saved delivery, or of each request of a story."""
    import dataclasses

    from rtms_simulator.cli.fakes.replayed import ReplayedStory
    from rtms_simulator.clock import Clock
    from rtms_simulator.zoom.webhooks.events import body

    try:
        saved = from_text(file.read_text(encoding="utf-8"))
        if "body" in saved:
            raw = str(saved["body"]).encode()
            return _sent(_event(raw), raw, url, secret)
        story = [_event(str(request["body"]).encode()) for request in saved["requests"]]
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}", "give an ID of `rtmskit events list`, or a file that can be read.") from None
    except (ValueError, KeyError, TypeError):
        problem = f"{file} is neither what `rtmskit events show ID --json` prints of a delivery of Zoom's, nor a story"
        raise BadInput(problem, "write one with `rtmskit events show ID --json > FILE`.") from None
    # Every start in it would be too late to be joined.
    later = Clock().now_ms() - min((event.event_ts for event in story), default=0)
    moved = [dataclasses.replace(event, event_ts=event.event_ts + later) for event in story]
    return ReplayedStory(requests=[_sent(event, body(event), url, secret) for event in moved])


def _event(raw: bytes) -> WebhookEvent:
    from rtms_simulator.zoom.webhooks.events import WebhookEvent

    inner = from_text(raw)
    return WebhookEvent(str(inner["event"]), dict(inner["payload"]), int(inner["event_ts"]))


def _sent(event: WebhookEvent, raw: bytes, url: str, secret: str) -> Replayed:
    from rtms_simulator.cli.fakes.replayed import Replayed
    from rtms_simulator.cli.play.send import deliver

    delivery = run(deliver(event, url, secret, raw))
    return Replayed(id=None, event=event.name, outcome=delivery.outcome, statuses=[attempt.status for attempt in delivery.attempts])


def _statuses(row: DeliveryRow) -> str:
    return ", ".join(str(attempt.status) for attempt in row.attempts)


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
