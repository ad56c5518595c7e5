"""The file of variables that `rtmskit serve --init` writes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli.fakes import running
from rtms_simulator.cli.play.outcome import BadInput, Nobody

if TYPE_CHECKING:
    from rtms_simulator.control.descriptions import UpDescription

TEMPLATE = """\
# Settings of `rtmskit serve`. Keep this file to yourself: it holds secrets.

# The Zoom app, https://marketplace.zoom.us: Basic Information, and the page Access.
ZOOM_CLIENT_ID={client_id}
ZOOM_CLIENT_SECRET={client_secret}
ZOOM_SECRET_TOKEN={secret_token}

# Recall: an API key, and the region of its workspace (us-east-1, us-west-2, eu-central-1, ap-northeast-1).
RECALL_API_KEY={api_key}
RECALL_REGION=us-east-1

# The workspace's verification secret (whsec_...). Without it recordings are found by looking, not by Recall's webhooks.
RECALL_WEBHOOK_SECRETS={webhook_secret}

# What Recall records: Create Bot's recording_config, one line of JSON.
RECALL_RECORDING_CONFIG='{recording_config}'

# For `--tunnel ngrok`: the token of your account, and a static domain if you have one.
NGROK_AUTHTOKEN=
NGROK_DOMAIN=
"""
LOCAL = """
# The fakes of the running `rtmskit up`.
RECALL_BASE_URL={base_url}
ZOOM_SERVER_HOSTS=localhost,127.0.0.1
"""
RECORDING_CONFIG = '{"video_mixed_mp4": {}, "transcript": {"provider": {"meeting_captions": {}}}}'


def write_template(file: Path, up_file: Path) -> None:
    """Write it, readable by its owner only; with the addresses and secrets of an `up` that runs here. Raises BadInput if it is there."""
    described = None
    with contextlib.suppress(Nobody):
        described = running.find(up_file)
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise BadInput(f"{file} already exists, and may hold your secrets", "edit it, or name another with --env-file.") from None
    except OSError as error:
        raise BadInput(f"{file} cannot be written: {error.strerror}", "name another with --env-file.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(_text(described))
    if described is None:
        click.echo(
            f"{file}: fill in the values, then `rtmskit serve --tunnel ngrok`. (No `rtmskit up` runs here to fill them in.)", err=True
        )
    else:
        click.echo(f"{file}: filled in for the `up` that runs here. Next: `rtmskit serve`.", err=True)


def _text(described: UpDescription | None) -> str:
    if described is None:
        empty = dict.fromkeys(("client_id", "client_secret", "secret_token", "api_key", "webhook_secret"), "")
        return TEMPLATE.format(**empty, recording_config=RECORDING_CONFIG)
    zoom, recall = described.zoom, described.recall
    text = TEMPLATE.format(
        client_id=zoom.client_id,
        client_secret=zoom.client_secret,
        secret_token=zoom.secret_token,
        api_key=recall.api_key,
        webhook_secret=recall.webhook_secret,
        recording_config=RECORDING_CONFIG,
    )
    return text + LOCAL.format(base_url=recall.base_url)
