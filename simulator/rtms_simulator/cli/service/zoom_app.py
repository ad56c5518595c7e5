"""`rtmskit zoom-app`: everything that has to be entered at Zoom, in the order in which Zoom asks for it.

The order and the names of the pages are those of Recall's quickstart ("Zoom RTMS", Zoom Setup); events and scopes are Zoom's
("RTMS events", scopes). Zoom has no interface to create an app, so a person enters them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json
from rtms_simulator.cli.play.outcome import BadInput
from rtms_simulator.zoom.webhooks.events import EVENTS, FAMILIES

if TYPE_CHECKING:
    from rtms_simulator.cli.service.zoom_app_fields import ZoomAppFields

PLACEHOLDER = "https://YOUR-WEBHOOK"
ZOOM_PATH = "/zoom-webhook"
REDIRECT_PATH = "/oauth-callback/zoom"

SCOPES = {
    "Meeting": (
        "meeting:read:meeting_audio",
        "meeting:read:meeting_chat",
        "meeting:read:meeting_transcript",
        "meeting:read:meeting_screenshare",
        "meeting:read:meeting_video",
    ),
    "RTMS": ("rtms:read:rtms_started", "rtms:read:rtms_stopped", "rtms:read:rtms_interrupted"),
}
"""Heading in Zoom's dialogue -> scopes. The quickstart names all but rtms_interrupted, which Zoom's events page has beside them."""

ACCOUNT_EVENTS = ("rtms.concurrency_near_limit", "rtms.concurrency_limited")
"""RTMS events of no single product. `app_deauthorized` is not chosen here: Zoom sends it to every app's deauthorization endpoint."""

COPIED = (
    ("Client ID", "Basic Information", "zoomClientId", "ZOOM_CLIENT_ID"),
    ("Client Secret", "Basic Information", "zoomClientSecret", "ZOOM_CLIENT_SECRET"),
    ("Secret Token", "Access", "zoomSecretToken", "ZOOM_SECRET_TOKEN"),
)
"""What is copied from Zoom: its name, Zoom's page, the key of Pulumi's settings, the variable. All but the id are secrets."""

INFERRED = frozenset({"rtms:read:rtms_interrupted"})
"""Scopes that are inferred: not in the quickstart's list."""


def base_url(address: str, option: str = "--webhook-url") -> str:
    """The webhook's address without a path. Raises BadInput for what Zoom would not accept (webhooks doc: public https FQDN)."""
    try:
        url = urlsplit(address)
        host = url.hostname or ""
    except ValueError:
        url, host = urlsplit("https:"), ""
    wrong = None
    if url.scheme != "https":
        wrong = "Zoom sends to https addresses only"
    elif "." not in host or re.fullmatch(r"[0-9.]+|.*:.*", host) or host.endswith((".localhost", ".local", ".internal")):
        wrong = "Zoom needs a public host name, not an address or a name of your own network"
    elif url.path not in ("", "/", ZOOM_PATH):
        wrong = f"the path is {ZOOM_PATH}, give the address without one"
    elif url.query or url.fragment:
        wrong = "an endpoint has no query and no fragment here"
    if wrong:
        raise BadInput(
            f"{option} {address!r}: {wrong}", "give the `webhookUrl` that `pulumi stack output` shows, or your tunnel's address."
        )
    return f"https://{url.netloc}"


def described(webhook_url: str, products: Sequence[str]) -> ZoomAppFields:
    """All of it as data. `webhook_url` has no path."""
    from rtms_simulator.cli.service.zoom_app_fields import CopiedFromZoom, ZoomAppFields, ZoomSubscription

    events = [name for product in products for name in EVENTS if name.startswith(FAMILIES[product].prefix + "rtms_")]
    return ZoomAppFields(
        app_type="General App",
        oauth_redirect_url=webhook_url + REDIRECT_PATH,
        event_subscription=ZoomSubscription(
            name="rtmskit", method="Webhook", endpoint_url=webhook_url + ZOOM_PATH, events=[*events, *ACCOUNT_EVENTS]
        ),
        scopes={heading: list(scopes) for heading, scopes in SCOPES.items()},
        inferred_scopes=sorted(INFERRED),
        copy=[
            CopiedFromZoom(value=value, page=page, key=f"rtmskit:{key}", variable=variable, encrypt=value != "Client ID")
            for value, page, key, variable in COPIED
        ],
        auto_start_url="https://zoom.us/profile/setting?tab=zoomapps",
    )


def steps(app: ZoomAppFields) -> list[tuple[str, list[str]]]:
    """(what to do, its particulars), in Zoom's order."""
    subscription = app.event_subscription
    copied = {entry.value: f"{entry.key}  or  {entry.variable}" for entry in app.copy}
    return [
        ("Bring the Zoom client up to date: old ones do not offer RTMS.", []),
        (f"At https://marketplace.zoom.us choose Develop, Build App, {app.app_type}.", []),
        (
            "Basic Information: copy two values, and enter the redirect.",
            [
                f"Client ID      ->  {copied['Client ID']}",
                f"Client Secret  ->  {copied['Client Secret']}",
                f"OAuth Redirect URL:  {app.oauth_redirect_url}",
            ],
        ),
        ("Access: copy the Secret Token.", [f"Secret Token   ->  {copied['Secret Token']}"]),
        (
            "Access, Event Subscription: add one. The webhook must be running with this Secret Token, then choose Validate and Save.",
            [
                f"Name:  {subscription.name}        Method:  {subscription.method}",
                f"Event notification endpoint URL:  {subscription.endpoint_url}",
                'Add Events: search "RTMS", Select All RTMS; at least:',
                *(f"  {event}" for event in subscription.events),
            ],
        ),
        (
            'Scopes: Add Scopes, search "RTMS", tick (and for webinars, sessions, calls what stands under their heading):',
            [
                f"{heading}:  {scope}{'  [inferred]' if scope in INFERRED else ''}"
                for heading, scopes in app.scopes.items()
                for scope in scopes
            ],
        ),
        ("Local Test: Add App Now, Allow. The next page should say that the app is added.", []),
        (
            "Let the app start by itself: Auto-start apps that access shared realtime meeting content, choose the app.",
            [app.auto_start_url],
        ),
    ]


def show(app: ZoomAppFields) -> None:
    """The steps, numbered, with their particulars below them."""
    for number, (what, particulars) in enumerate(steps(app), 1):
        click.echo(f"{number:2}. {what}")
        for particular in particulars:
            click.echo(f"      {particular}")


@click.command("zoom-app")
@click.option("--webhook-url", metavar="URL", help="Where the webhook is: https://host. Without it, a placeholder is shown.")
@click.option(
    "--product", "products", type=click.Choice(list(FAMILIES)), multiple=True, help="Only events of these products. Default: all."
)
@as_json_option
def zoom_app(webhook_url: str | None, products: Sequence[str], *, as_json: bool) -> None:
    """Show what to enter at Zoom, step by step."""
    app = described(base_url(webhook_url) if webhook_url else PLACEHOLDER, list(dict.fromkeys(products)) or list(FAMILIES))
    if as_json:
        say_json(app)
        return
    show(app)
    if not webhook_url:
        click.echo(f"\n{PLACEHOLDER} is a placeholder: deploy first, or start a tunnel, and name it with --webhook-url.", err=True)
