"""The `rtmskit up` that is running: how other commands find it and talk to it."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from rtms_simulator.cli.output import as_text, from_text
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody

if TYPE_CHECKING:
    import httpx

    from rtms_simulator.control.descriptions import ServeDescription, ServiceAccess, UpDescription

C = TypeVar("C", bound=Callable)
D = TypeVar("D", bound="ServiceAccess")
T = TypeVar("T")

UP_FILE = Path(".rtmskit/up.json")
"""Where `up` leaves its addresses and secrets, readable by its owner only, for as long as it runs."""

SERVE_FILE = Path(".rtmskit/serve.json")
"""The same of `serve`."""

_CONNECTED_WITHIN_S = 2.0


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


def write(file: Path, described: ServiceAccess) -> None:
    """Leave the description for others. It appears whole or not at all, and nobody else may read it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
        stream.write(as_text(described, indent=2))
    draft.replace(file)


def remove(file: Path) -> None:
    """Take back what this process has written; another's stays."""
    import msgspec

    from rtms_simulator.control.descriptions import WrittenBy

    with contextlib.suppress(OSError, ValueError, msgspec.ValidationError):
        if msgspec.convert(from_text(file.read_bytes()), WrittenBy).pid == os.getpid():
            file.unlink()


def listens(url: str) -> bool:
    """Whether somebody takes connections there. The process id that a crash has left in a description may be another program's by now."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), _CONNECTED_WITHIN_S).close()
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


def find(file: Path) -> UpDescription:
    """What the running `up` has written. Raises `Nobody` if there is none, or it has ended; BadInput for another file."""
    from rtms_simulator.control.descriptions import UpDescription

    return _left(file, UpDescription, "up")


def find_serve(file: Path) -> ServeDescription:
    """The same of a running `serve`."""
    from rtms_simulator.control.descriptions import ServeDescription

    return _left(file, ServeDescription, "serve")


def _left(file: Path, type_: type[D], command: str) -> D:
    import msgspec

    try:
        described = msgspec.convert(from_text(file.read_bytes()), type_)
    except FileNotFoundError:
        raise _not_there(file, command) from None
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        do = f"delete it and start `rtmskit {command}` again."
        raise BadInput(f"{file} is not what `rtmskit {command}` writes: {error}", do) from None
    try:
        os.kill(described.pid, 0)
    except (ProcessLookupError, OverflowError):
        raise Nobody(f"the `rtmskit {command}` of {file} (process {described.pid}) has ended", "start it again.") from None
    except PermissionError:
        pass  # alive, and somebody else's
    return described


def _not_there(file: Path, command: str) -> Nobody:
    with contextlib.suppress(Nobody, BadInput):
        if command == "up":
            find_serve(file.with_name(SERVE_FILE.name))
            do = "`rtmskit handoffs` and `rtmskit recordings` work with it; for the others start `rtmskit up`, or name its file with --up."
            return Nobody("the `rtmskit serve` that is running here has no fakes, and this command is for those of an `up`", do)
    return Nobody(
        f"no `rtmskit {command}` is running here: {file} is not there", f"start `rtmskit {command}` here, or name its file with --up."
    )


def ask(
    described: UpDescription,
    path: str,
    answer: type[T],
    method: str = "GET",
    body: Any = None,
    *,
    query: Mapping[str, Any] | None = None,
    timeout_s: float | None = 30.0,
) -> T:
    """One request to the control plane of the running `up`; its answer as a value of that type. Raises `Nobody`, `BadInput` or `Failed`."""
    import msgspec

    url = described.control_url + path
    reply = _reply(described, method, url, body, query or {}, timeout_s)
    if not reply.is_success:
        raise _refused(reply)
    try:
        return msgspec.json.decode(reply.content, type=answer)
    except msgspec.DecodeError as error:
        raise Failed(
            f"{url} answered something this rtmskit does not know: {error}", "is `up` of another version? Start it again."
        ) from None


def _reply(described: UpDescription, method: str, url: str, body: Any, query: Mapping[str, Any], timeout_s: float | None) -> httpx.Response:
    import httpx
    import msgspec

    from rtms_simulator.errors import words_of

    params = {name: value for name, value in query.items() if value is not None}
    headers = {"Content-Type": "application/json"}
    if described.control_token:
        headers["Authorization"] = f"Bearer {described.control_token}"
    content = None if body is None else msgspec.json.encode(body)
    try:
        return httpx.request(method, url, content=content, params=params, headers=headers, timeout=timeout_s, trust_env=False)
    except httpx.TransportError as error:
        raise Nobody(f"{url} does not answer: {words_of(error)}", "is `rtmskit up` still running?") from None


def _refused(reply: httpx.Response) -> BadInput | Failed:
    message = f"{_reason(reply.content) or reply.reason_phrase} (HTTP {reply.status_code})"
    if reply.is_client_error:
        return BadInput(message, "change what is named; --help says what the command takes.")
    return Failed(message, "`rtmskit up` shows the log lines of it.")


def _reason(content: bytes) -> str:
    """The reason of a refusal: ours, or whatever text something else has answered."""
    import msgspec

    from rtms_simulator.control.answers import RefusalAnswer

    try:
        return msgspec.json.decode(content, type=RefusalAnswer).reason
    except (msgspec.DecodeError, UnicodeDecodeError):
        return content[:300].decode("utf-8", "replace").strip()
