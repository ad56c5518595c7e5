"""`rtmskit send`: one event, exactly as wanted, signed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import as_text, from_text, say_json
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody, run
from rtms_simulator.cli.play.verdict import DO
from rtms_simulator.cli.receiver import of_receiver, receiver

if TYPE_CHECKING:
    from rtms_simulator.faults import Fault
    from rtms_simulator.zoom.webhooks.events import WebhookEvent
    from rtms_simulator.zoom.webhooks.sender import Delivery


SHOWN_URL = "https://receiver.example/zoom-webhook"
"""Where --dry-run would send without a receiver."""

OF_ONE_REQUEST = ("wrong-signature", "unsigned", "stale", "style")
"""The faults that show in a single request. The other ones are about when and how often requests come, or about streams."""


@click.command()
@click.argument("event", shell_complete=completion.events)
@of_receiver
@click.option(
    "--set", "sets", metavar="PATH=VALUE", multiple=True, help="Change a field, as payload.stop_reason=8; VALUE is JSON or else text."
)
@click.option("--unset", "unsets", metavar="PATH", multiple=True, help="Leave a field out.")
@click.option(
    "--raw", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path), help="Send this file's bytes as the body (- is stdin)."
)
@click.option(
    "--fault",
    "faults",
    metavar="FAULT",
    multiple=True,
    help="zoom.webhook.*: and one of wrong-signature, unsigned, stale, style (settings: `rtmskit faults list`).",
)
@click.option("--dry-run", is_flag=True, help="Show the request instead of sending it.")
@as_json_option
def send(
    event: str,
    webhook_url: str | None,
    secret_token: str | None,
    up_file: Path,
    sets: Sequence[str],
    unsets: Sequence[str],
    raw: Path | None,
    faults: Sequence[str],
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Send one signed Zoom event to any webhook.

    EVENT is a name such as meeting.rtms_started, with the values of Zoom's documentation and the present time, which --set and --unset
    change. Exit code 0 means that Zoom would accept it: 200 or 204 within 3 seconds, and a right answer to a challenge.
    A request that --fault makes a forgery must be refused.
    """
    if raw is not None and (sets or unsets):
        raise BadInput("--raw is sent as it is, so --set and --unset have nothing to change", "change the file, or leave --raw out.")
    # A request that is only shown needs no receiver.
    shown_only = dry_run and webhook_url is None and bool(secret_token)
    url, secret, _ = receiver(SHOWN_URL if shown_only else webhook_url, secret_token, up_file)
    body = _bytes(raw) if raw is not None else None
    chosen = composed(event, sets, unsets, free=body is not None)
    delivery = run(deliver(chosen, url, secret, body, faults, dry_run=dry_run))
    if dry_run:
        _show_request(delivery, as_json=as_json)
    else:
        _report(delivery, secret, as_json=as_json)


def composed(name: str, sets: Sequence[str], unsets: Sequence[str], *, free: bool = False) -> WebhookEvent:
    """The documentation's example of an event, now, with changes. `free`: an undocumented name will do. Raises BadInput."""
    from dataclasses import replace

    from rtms_simulator.clock import Clock
    from rtms_simulator.zoom.webhooks.events import EVENTS, WebhookEvent

    if name not in EVENTS and not free:
        raise BadInput(f"{name!r} is not an RTMS event that Zoom documents", _instead(name, tuple(EVENTS)))
    now = Clock().now_ms()
    event = replace(EVENTS[name], event_ts=now) if name in EVENTS else WebhookEvent(name, {}, now)
    document: dict[str, Any] = {"event": event.name, "event_ts": event.event_ts, "payload": from_text(as_text(event.payload))}
    for change in sets:
        path, equals, text = change.partition("=")
        if any("\udc80" <= letter <= "\udcff" for letter in change):
            raise BadInput(f"--set {path!r} holds bytes that are not UTF-8", "write UTF-8, or JSON with escapes, as 'a=\"\\u00e9\"'.")
        if not equals:
            raise BadInput(f"--set {change!r} has no value", "write PATH=VALUE, as payload.stop_reason=8.")
        _parent(document, path, "--set")[path.rpartition(".")[2]] = _value(text)
    for path in unsets:
        if _parent(document, path, "--unset").pop(path.rpartition(".")[2], document) is document:
            raise BadInput(f"--unset {path!r}: the event has no such field", f"it has {', '.join(_paths(document))}.")
    missing = {"event", "event_ts", "payload"} - set(document)
    if missing or set(document) - {"event", "event_ts", "payload"}:
        raise BadInput("the event's outer form cannot be changed this way", "send such a body with --raw FILE.")
    return WebhookEvent(document["event"], document["payload"], document["event_ts"])


def _instead(name: str, known: tuple[str, ...]) -> str:
    """What to send in place of an unknown event: the ones that are near in spelling, or of the same product, or all there are."""
    import difflib

    near = difflib.get_close_matches(name, known, n=2, cutoff=0.8)
    product, _, verb = name.partition(".")
    family = [event for event in known if event.startswith(f"{product}.")]
    if not near and family:
        # Such as meeting.started, which Zoom has, but which says nothing of a stream.
        same = [event for event in family if verb and event.endswith(f"rtms_{verb}")]
        near = same or family
    raw = "any other event of Zoom's goes out with --raw FILE."
    return f"did you mean {' or '.join(near)}? {raw[0].upper()}{raw[1:]}" if near else f"choose one of {', '.join(known)}; {raw}"


async def deliver(
    event: WebhookEvent, url: str, secret: str, body: bytes | None = None, faults: Sequence[str] = (), *, dry_run: bool = False
) -> Delivery:
    """One attempt at an event, or at `body` in its place, without the retries. Raises BadInput for a fault that does not exist."""
    from random import Random

    import httpx

    from rtms_simulator.clock import Clock
    from rtms_simulator.faults import FaultBook, FaultError, parse_fault
    from rtms_simulator.faults.zoom import FAMILIES
    from rtms_simulator.zoom.webhooks.sender import EventSubscription, WebhookSender

    book = FaultBook(FAMILIES)
    try:
        for text in faults:
            fault = parse_fault(text)
            _fits(fault, event, body)
            book.add(fault)
    except FaultError as error:
        raise BadInput(f"--fault {error}", "`rtmskit faults list` shows them.") from None
    requests: list[httpx.Request] = []

    def kept(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200)

    transport = httpx.MockTransport(kept) if dry_run else None
    sender = WebhookSender(Clock(), Random(event.event_ts), faults=book, transport=transport)
    try:
        delivery = await sender.deliver(event, EventSubscription(url, secret), raw=body)
        for attempt, request in zip(delivery.attempts, requests, strict=False):
            attempt.headers = dict(request.headers)  # with those that the HTTP client adds
        return delivery
    finally:
        await sender.aclose()


def _fits(fault: Fault, event: WebhookEvent, body: bytes | None) -> None:
    """Raises BadInput for a fault that one request cannot show: it needs time, a second request or a stream, or changes no byte of it."""
    from rtms_simulator.zoom.webhooks import events

    words = [step.word for step in fault.steps]
    if fault.family.prefix != "zoom.webhook" or not set(words) <= set(OF_ONE_REQUEST):
        raise BadInput(
            f"--fault {fault} means nothing for one event",
            f"write zoom.webhook.*: and one of {', '.join(OF_ONE_REQUEST)}; others go with a meeting.",
        )
    if not fault.matches(fault.family.target(event.name)):
        raise BadInput(f"--fault {fault} is for other events than {event.name}", "write zoom.webhook.* as its target.")
    if "style" in words and body is not None:
        raise BadInput("--fault style changes how the body is written, but --raw is sent as it is", "leave one of them out.")
    styles = [step.text("style") for step in fault.steps if step.word == "style"]
    if any(events.body(event, events.STYLES[style]) == events.body(event) for style in styles):
        do = "choose another style (`rtmskit faults list`), or --set a field that it changes."
        raise BadInput(f"--fault {fault} changes nothing of {event.name}", do)


def _show_request(delivery: Delivery, *, as_json: bool) -> None:
    headers, body = dict(delivery.attempts[0].headers), delivery.body.decode(errors="replace")
    if as_json:
        say_json({"url": delivery.url, "headers": headers, "body": body})
        return
    click.echo(f"POST {delivery.url}")
    for name, value in headers.items():
        click.echo(f"{name}: {value}")
    click.echo(f"\n{body}")


def _report(delivery: Delivery, secret: str, *, as_json: bool) -> None:
    """What was answered, and whether that is right. Raises Nobody or Failed."""
    attempt = delivery.attempts[0]  # none of OF_ONE_REQUEST keeps it back
    status, answer = attempt.status or 0, attempt.answer.decode(errors="replace")
    problem = attempt.problem or _wrong_answer(delivery, secret, status)
    if as_json:
        facts = {"event": delivery.event.name, "status": status, "latency_ms": round(attempt.latency_s * 1000, 1), "problem": problem}
        say_json(facts | {"outcome": delivery.outcome, "answer": answer, "forged": delivery.forged})
    elif status > 0:
        click.echo(f"{delivery.event.name}: HTTP {status} in {attempt.latency_s * 1000:.0f} ms\n{answer}".rstrip())
    _judge(delivery, status, problem)
    if delivery.forged and not as_json:
        click.echo(f"Refused, as it must be: {delivery.forged}", err=True)


def _wrong_answer(delivery: Delivery, secret: str, status: int) -> str:
    """Why the answer to a challenge is not Zoom's; empty if it is, or if there is none to judge."""
    from rtms_simulator.zoom.webhooks.events import URL_VALIDATION, judge_validation

    plain = delivery.event.payload.get("plainToken")
    if delivery.event.name != URL_VALIDATION or status <= 0 or not plain or delivery.forged:
        return ""
    return judge_validation(secret, str(plain), status, delivery.attempts[0].answer).problem


def _judge(delivery: Delivery, status: int, problem: str) -> None:
    from rtms_simulator.zoom.webhooks.sender import READ_TIMEOUT

    if status == READ_TIMEOUT:
        late = f"{delivery.url} did not answer within Zoom's time limit: {problem} (Zoom's code {status}; it would try again)"
        raise Failed(late, DO["slow"])
    if status < 0:
        raise Nobody(
            f"{delivery.url} gave no answer: {problem} (Zoom's code {status}; it would try again)", "is the receiver running there?"
        )
    if delivery.forged:
        _judge_forgery(delivery, status)
    elif problem:
        raise Failed(f"the challenge was answered wrongly: {problem}", "answer {plainToken, encryptedToken} as in Zoom's webhook docs.")
    elif delivery.outcome != "delivered":
        again = "it would try again" if status >= 500 else "it would not try again"
        raise Failed(f"Zoom would count HTTP {status} as a failure ({again})", DO["failed"])


def _judge_forgery(delivery: Delivery, status: int) -> None:
    """A forgery is to be refused with 4xx: with 2xx it was taken, and 5xx says that the receiver broke on it."""
    if 200 <= status < 300:
        taken = f"a forged event was taken: {delivery.event.name} with the fault {delivery.forged} was answered {status}"
        raise Failed(taken, DO["forged"])
    if not 400 <= status < 500:
        raise Failed(f"a forged event was answered {status}", "refuse it with 401.")


def _bytes(raw: Path) -> bytes:
    try:
        with click.open_file(str(raw), "rb") as file:
            return file.read()
    except OSError as error:
        raise BadInput(f"--raw {raw}: {error.strerror}", "name a file that can be read.") from None


def _value(text: str) -> Any:
    try:
        return from_text(text)
    except ValueError:
        return text


def _parent(document: dict[str, Any], path: str, option: str) -> dict[str, Any]:
    """The object that holds the last part of a dotted path; objects on the way are made."""
    if not all(path.split(".")):
        raise BadInput(f"{option} {path!r} is not a path", "write names with single dots between them, as payload.stop_reason.")
    parent: Any = document
    for part in path.split(".")[:-1]:
        parent = parent.setdefault(part, {})
        if not isinstance(parent, dict):
            raise BadInput(f"{option} {path!r}: {part!r} is not an object", f"the event has {', '.join(_paths(document))}.")
    return parent


def _paths(value: Any, prefix: str = "") -> list[str]:
    if not isinstance(value, dict):
        return [prefix]
    return [path for key, inner in value.items() for path in _paths(inner, f"{prefix}.{key}" if prefix else key)]
