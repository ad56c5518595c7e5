"""The webhook under test: named by options, or the one of the running `up`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import click

from rtms_simulator.cli.fakes.running import find, of_up
from rtms_simulator.cli.pasted import checked_secret
from rtms_simulator.cli.play.outcome import BadInput, Nobody
from rtms_simulator.serving.loopback import is_loopback

if TYPE_CHECKING:
    from rtms_simulator.control.descriptions import UpDescription

C = TypeVar("C", bound=Callable)


def of_receiver(command: C) -> C:
    """The options that say where Zoom's events go and how they are signed."""
    for option in (
        click.option("--secret-token", metavar="S", envvar="ZOOM_SECRET_TOKEN", show_envvar=True, help="The app's Secret Token."),
        click.option("--webhook", "webhook_url", metavar="URL", help="The receiver of Zoom's events. Default: the running `up`'s."),
        of_up,
    ):
        command = option(command)
    return command


def is_url(text: str) -> bool:
    """Whether it names a scheme and a host that a request can be sent to."""
    try:
        url = urlsplit(text)
        return url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def is_local(url: str) -> bool:
    """Whether it is a URL of this machine."""
    return is_url(url) and is_loopback(url)


def receiver(webhook_url: str | None, secret_token: str | None, up_file: Path) -> tuple[str, str, UpDescription | None]:
    """(URL, Secret Token, description of the running `up` if that is meant). Raises BadInput or Nobody."""
    secret_token = checked_secret("--secret-token", secret_token)
    if webhook_url is None:
        described = find(up_file)
        if not described.webhook_url:
            raise Nobody("this `up` knows no webhook (--no-function without --webhook)", "name one with --webhook.")
        return described.webhook_url, secret_token or described.zoom.secret_token, described
    if not is_url(webhook_url):
        raise BadInput(f"--webhook {webhook_url!r} is not a URL", "write it with http:// or https://.")
    if not secret_token:
        raise BadInput("--secret-token is missing", "pass the Secret Token that the receiver verifies with, or set ZOOM_SECRET_TOKEN.")
    return webhook_url, secret_token, None
