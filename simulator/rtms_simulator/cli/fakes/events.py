"""`rtmskit events`: every delivery of the running `up`, both vendors', and sending one again."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli.fakes.clock import why_refused
from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import table
from rtms_simulator.cli.play.outcome import BadInput, Failed, run
from rtms_simulator.cli.receiver import of_receiver, receiver

if TYPE_CHECKING:
    from rtms_simulator.zoom.webhooks.events import WebhookEvent


@click.group()
def events() -> None:
    """Look at the deliveries of a running `up`, and replay them.

    Zoom's have numbers, Recall's ids like msg_2Lk….
    """


@events.command("list")
@of_up
@as_json_option
def list_(up_file: Path, as_json: bool) -> None:
    """List every delivery with its answers, oldest first."""
    described = find(up_file)
    rows = sorted([*_zooms(described), *_recalls(described)], key=lambda row: row["at"])
    if as_json:
        click.echo(json.dumps({"events": rows}, ensure_ascii=False))
        return
    shown = [
        (_time(row["at"]), row["of"], str(row["id"]), row["event"], row["outcome"], ", ".join(map(str, row["statuses"]))) for row in rows
    ]
    table(("at", "of", "id", "event", "outcome", "answers"), shown)


@events.command()
@click.argument("id")
@of_up
@as_json_option
def show(id: str, up_file: Path, as_json: bool) -> None:  # noqa: A002  # click names the argument after it
    """Show one delivery: headers, body and answers."""
    described = find(up_file)
    if id.isdigit():
        found = ask(f"{described['zoom']['control_url']}/deliveries/{id}")
    else:
        found = next((row for row in ask(f"{described['recall']['control_url']}/deliveries")["deliveries"] if row["id"] == id), None)
        if found is None:
            raise BadInput(f"there is no delivery {id!r}", "`rtmskit events list` shows them.")
    click.echo(json.dumps(found, ensure_ascii=False, indent=None if as_json else 2))


@events.command()
@click.argument("what", metavar="ID|FILE")
@of_receiver
@as_json_option
def replay(what: str, webhook_url: str | None, secret_token: str | None, up_file: Path, as_json: bool) -> None:
    """Send a delivery again: the same body, signed anew.

    ID is one of the running `up`; Recall's keep their id, as in a retry. FILE is what `events show ID --json` printed of one of Zoom's, on
    whatever day, and goes to --webhook or to the running `up`'s. Or it is the story of a simulation that broke a promise: then all its
    requests go out, one after the other, with their times moved so that the first event happens now.
    """
    row: dict[str, Any]
    if what.isdigit() or what.startswith("msg_"):
        described = find(up_file)
        if what.isdigit():
            body = {} if webhook_url is None else {"webhook_url": webhook_url}
            found = ask(f"{described['zoom']['control_url']}/deliveries/{what}/replay", "POST", body)
            row = {"id": found["id"], "event": found["event"], "outcome": found["outcome"], "statuses": _statuses(found)}
        else:
            found = ask(f"{described['recall']['control_url']}/deliveries/{what}/resend", "POST", {})
            row = {"id": found["id"], "event": found["event"], "outcome": found["state"], "statuses": _statuses(found)}
    else:
        row = _replay_file(Path(what), *receiver(webhook_url, secret_token, up_file)[:2])
    rows: list[dict[str, Any]] = row.get("requests", [row])
    if as_json:
        click.echo(json.dumps(row, ensure_ascii=False))
    else:
        for each in rows:
            click.echo(f"{each['event']}: {each['outcome']} {', '.join(map(str, each['statuses']))}".rstrip())
    refused = next((each for each in rows if each["outcome"] == "refused"), None)
    if refused is not None:
        status = refused["statuses"][-1]
        raise Failed(
            f"the receiver refused it with {status}", why_refused(status) or "`rtmskit events list` shows it, `events show` its answer."
        )


def _replay_file(file: Path, url: str, secret: str) -> dict[str, Any]:
    """What became of the saved delivery, or under `requests` of each request of a story."""
    import dataclasses

    from rtms_simulator.clock import Clock
    from rtms_simulator.zoom.webhooks.events import body

    try:
        saved = json.loads(file.read_text(encoding="utf-8"))
        if "body" in saved:
            raw = str(saved["body"]).encode()
            return _sent(_event(raw), raw, url, secret)
        story = [_event(str(request["body"]).encode()) for request in saved["requests"]]
    except OSError as error:
        raise BadInput(f"{file}: {error.strerror}", "give an ID of `rtmskit events list`, or a file that can be read.") from None
    except (ValueError, KeyError, TypeError):
        problem = f"{file} is neither what `rtmskit events show ID --json` prints of a delivery of Zoom's, nor a story"
        raise BadInput(problem, "write one with `rtmskit events show ID --json > FILE`.") from None
    # As it was told long ago, every start in it would be too late to be joined.
    later = Clock().now_ms() - min((event.event_ts for event in story), default=0)
    moved = [dataclasses.replace(event, event_ts=event.event_ts + later) for event in story]
    return {"requests": [_sent(event, body(event), url, secret) for event in moved]}


def _event(raw: bytes) -> WebhookEvent:
    from rtms_simulator.zoom.webhooks.events import WebhookEvent

    inner = json.loads(raw)
    return WebhookEvent(str(inner["event"]), dict(inner["payload"]), int(inner["event_ts"]))


def _sent(event: WebhookEvent, raw: bytes, url: str, secret: str) -> dict[str, Any]:
    from rtms_simulator.cli.play.send import deliver

    delivery = run(deliver(event, url, secret, raw))
    return {"id": None, "event": event.name, "outcome": delivery.outcome, "statuses": [attempt.status for attempt in delivery.attempts]}


def _zooms(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "of": "zoom",
            "id": row["id"],
            "event": row["event"],
            "at": row["attempts"][0]["at_ms"] / 1000 if row["attempts"] else row["event_ts"] / 1000,
            "outcome": row["outcome"],
            "statuses": _statuses(row),
        }
        for row in ask(f"{described['zoom']['control_url']}/deliveries")["deliveries"]
    ]


def _recalls(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "of": "recall",
            "id": row["id"],
            "event": row["event"],
            "at": row["created_at"],
            "outcome": row["state"],
            "statuses": _statuses(row),
        }
        for row in ask(f"{described['recall']['control_url']}/deliveries")["deliveries"]
    ]


def _statuses(row: dict[str, Any]) -> list[int | None]:
    return [attempt["status"] for attempt in row["attempts"]]


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S.%f")[:-3]
