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
T = TypeVar("T")

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


def ask(
    described: Mapping[str, Any],
    path: str,
    answer: type[T],
    method: str = "GET",
    body: Any = None,
    *,
    query: Mapping[str, Any] | None = None,
    timeout_s: float | None = 30.0,
) -> T:
    """One request to the control plane of the running `up`; its answer as a value of that type. Raises `Nobody`, `BadInput` or `Failed`."""
    import httpx
    import msgspec

    url = described["control_url"] + path
    params = {name: value for name, value in (query or {}).items() if value is not None}
    headers = {"Content-Type": "application/json"}
    if token := described.get("control_token"):
        headers["Authorization"] = f"Bearer {token}"
    content = None if body is None else msgspec.json.encode(body)
    try:
        reply = httpx.request(method, url, content=content, params=params, headers=headers, timeout=timeout_s, trust_env=False)
    except httpx.TransportError as error:
        raise Nobody(f"{url} does not answer: {error or type(error).__name__}", "is `rtmskit up` still running?") from None
    if not reply.is_success:
        kind = BadInput if reply.is_client_error else Failed
        refused = "change what is named; --help says what the command takes."
        do = refused if reply.is_client_error else "`rtmskit up` shows the log lines of it."
        raise kind(f"{_reason(reply.content) or reply.reason_phrase} (HTTP {reply.status_code})", do)
    try:
        return msgspec.json.decode(reply.content, type=answer)
    except msgspec.DecodeError as error:
        raise Failed(f"{url} answered what this rtmskit does not know: {error}", "is `up` of another version? Start it again.") from None


def _reason(content: bytes) -> str:
    """The reason of a refusal: ours, or whatever text something else has answered."""
    import msgspec

    from rtms_simulator.control.answers import RefusalAnswer

    try:
        return msgspec.json.decode(content, type=RefusalAnswer).reason
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content[:300].decode("utf-8", "replace").strip()
