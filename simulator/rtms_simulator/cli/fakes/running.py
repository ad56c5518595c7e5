"""The `rtmskit up` that is running: how other commands find it and talk to it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody

C = TypeVar("C", bound=Callable)

UP_FILE = Path(".rtmskit/up.json")
"""Where `up` leaves its addresses and secrets, readable by its owner only, for as long as it runs."""


def of_up(command: C) -> C:
    """The option that says which `up` is meant."""
    return click.option(
        "--up",
        "up_file",
        type=click.Path(path_type=Path),
        default=UP_FILE,
        envvar="RTMSKIT_UP",
        show_default=True,
        show_envvar=True,
        help="The file in which the running `rtmskit up` left its addresses.",
    )(command)


def write(file: Path, described: Mapping[str, Any]) -> None:
    """Leave the description for others. It appears whole or not at all, and nobody else may read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        json.dump(described, stream, indent=2)
    draft.replace(file)


def remove(file: Path) -> None:
    """Take back what this process has written; another's stays."""
    with contextlib.suppress(Nobody, BadInput):
        if find(file)["pid"] == os.getpid():
            file.unlink()


def find(file: Path) -> dict[str, Any]:
    """What the running `up` has written. Raises `Nobody` if there is none, or it has ended."""
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        pid = int(described["pid"])
    except FileNotFoundError:
        raise Nobody(
            f"no `rtmskit up` is running here: {file} is not there", "start `rtmskit up` here, or name its file with --up."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{file} is not what `rtmskit up` writes: {error}", "delete it and start `rtmskit up` again.") from None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        raise Nobody(f"the `rtmskit up` of {file} (process {pid}) has ended", "start it again.") from None
    except PermissionError:
        pass  # alive, and somebody else's
    return described


def ask(url: str, method: str = "GET", body: Any = None, *, timeout_s: float | None = 30.0) -> Any:
    """One request to a control route; the JSON of its answer. Raises `Nobody` or `Failed`."""
    import httpx

    try:
        answer = httpx.request(method, url, json=body, timeout=timeout_s, trust_env=False)
    except httpx.TransportError as error:
        raise Nobody(f"{url} does not answer: {error or type(error).__name__}", "is `rtmskit up` still running?") from None
    found = _content(answer)
    if answer.is_success:
        return found
    reason = found.get("reason") or found.get("error") or found.get("detail") if isinstance(found, dict) else found
    kind = BadInput if answer.is_client_error else Failed
    do = (
        "change what is named; --help says what the command takes." if answer.is_client_error else "`rtmskit up` shows the log lines of it."
    )
    raise kind(f"{reason or answer.reason_phrase} (HTTP {answer.status_code})", do)


def _content(answer: Any) -> Any:
    if not answer.content:
        return None
    try:
        return answer.json()
    except ValueError:
        return answer.text.strip()[:300]
