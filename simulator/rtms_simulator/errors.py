"""Every exception this package raises on purpose.

::

    SimulatorError                      base: a stable `code` and a message of one line
    |-- InputError                      what the caller gave cannot be used (also a ValueError)
    |   |-- ScenarioError               a scenario has a mistake: file, line, key, what is allowed
    |   |-- FaultError                  there is no such fault, or not with these settings
    |   |-- SwitchError                 there is no such switch, or not with this value
    |   |-- MediaFileError              a media or transcript file cannot be played
    |   |-- PlayRequestError            a request to play a meeting names something that cannot be played
    |   `-- CursorError                 a page cursor that no list gave out
    |-- ProtocolError                   a peer broke the RTMS protocol (also a ValueError)
    |   |-- UnreadableMessageError      not one JSON object with an integer msg_type
    |   `-- MediaParameterError         media parameters that Zoom refuses, with the status code of its answer
    |-- RequestRefusedError             a fake or the control plane refuses a request
    |   |-- ControlRefusedError         the control plane: HTTP `status`, `error` as the code of the answer
    |   |-- UnsupportedMediaTypeError   Recall: it does not read this content type
    |   |-- UnreadableBodyError         Recall: the bytes are not what the content type says
    |   `-- TaskRefusedError            Cloud Tasks: the gRPC call fails with `status`
    |-- TokenServiceError               the token service of a webhook endpoint gave no token
    |-- StartError                      something could not be started
    |   |-- PortTakenError              another process listens on the port
    |   |-- StateUnusableError          the functions run and cannot use their store
    |   `-- FunctionSourceError         the function's main.py is neither in a checkout nor in the wheel
    |-- ChildEndedError                 a child process ended while it was needed
    |-- NoReceiverError                 nothing accepts connections at the webhook's address
    |-- RecordingLostError              an end-to-end run ended without the recording
    `-- WorkerError                     the worker, or a host that its link names
        |-- WorkerUnreachableError      did not answer
        `-- WorkerRefusedError          answered with an error: HTTP `status` and `reason`
            |-- LinkRefusedError        the host of a link refused it, and a fresh one, too
            `-- PlatformRefusedError    a page of Google's in front of the worker

Messages never carry a secret, a signature or a pre-signed link.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar


class SimulatorError(Exception):
    """Base of all errors here. `code` is stable across releases."""

    code: ClassVar[str] = "internal"


# What the caller gave


class InputError(SimulatorError, ValueError):
    """What the caller gave cannot be used. The text says what is allowed."""

    code = "input_invalid"


class ScenarioError(InputError):
    """A scenario has a mistake, or several.

    `file` and `line`: where it stands, if it came from a file. `path`: its keys (`("timeline", 3, "who")`). `allowed`: what is.
    `more`: the other mistakes of the same scenario, in the order of their lines; `all` is this one and those.
    """

    code = "scenario_invalid"

    def __init__(
        self,
        problem: str,
        *,
        path: tuple[str | int, ...] = (),
        allowed: str = "",
        file: str | None = None,
        line: int | None = None,
        more: tuple[ScenarioError, ...] = (),
    ) -> None:
        self.problem = problem
        self.path = path
        self.allowed = allowed
        self.file = file
        self.line = line
        self.more = more
        super().__init__(problem)

    @property
    def all(self) -> tuple[ScenarioError, ...]:
        return (self, *self.more)

    def lines(self) -> list[str]:
        """One line for each mistake."""
        return [one.one_line() for one in self.all]

    @property
    def key(self) -> str:
        """The place inside the document as a person writes it: `people[0].name`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")

    def __str__(self) -> str:
        return "; ".join(self.lines())

    def one_line(self) -> str:
        """This mistake alone: `mine.toml:3: people[0].name: empty name (allowed: a name)`."""
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        text = ": ".join(part for part in (place, self.key, self.problem) if part)
        return f"{text} (allowed: {self.allowed})" if self.allowed else text


class FaultError(InputError):
    """A fault that does not exist or cannot have these settings. The text says what is allowed."""

    code = "fault_invalid"


class SwitchError(InputError):
    """A switch that does not exist or cannot have this value. The text says what is allowed."""

    code = "switch_invalid"


class MediaFileError(InputError):
    """A media or transcript file that cannot be played: names the file, what is wrong, what is supported; `do` is the next step."""

    code = "media_file_unusable"

    def __init__(self, path: Path, problem: str, supported: tuple[str, ...], do: str = "") -> None:
        self.path = path
        self.do = do
        super().__init__(f"{path}: {problem} (supported: {', '.join(supported)})")


class PlayRequestError(InputError):
    """A request to play a meeting that cannot be played: says what was given and what is possible."""

    code = "play_request_invalid"


class CursorError(InputError):
    """A `cursor` that no page of this list gave out."""

    code = "cursor_invalid"


# What a peer sent


class ProtocolError(SimulatorError, ValueError):
    """A peer broke the RTMS protocol."""

    code = "protocol_broken"


class UnreadableMessageError(ProtocolError):
    """Not one JSON object with an integer msg_type."""

    code = "message_unreadable"


class MediaParameterError(ProtocolError):
    """Media parameters that Zoom refuses. `status` is the RTMS status code of the handshake's answer."""

    code = "media_parameters_refused"

    def __init__(self, status: Any) -> None:
        super().__init__(getattr(status, "name", str(status)))
        self.status = status


class RequestRefusedError(SimulatorError):
    """A fake or the control plane refuses a request."""

    code = "request_refused"


class ControlRefusedError(RequestRefusedError):
    """The control plane refuses: `status` is the HTTP status, `error` the stable code of the answer, the text the reason."""

    code = "control_refused"

    def __init__(self, status: int, error: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.error = error


class UnsupportedMediaTypeError(RequestRefusedError):
    """Recall does not read this content type. `str()` is the type."""

    code = "unsupported_media_type"


class UnreadableBodyError(RequestRefusedError):
    """The bytes are not what the content type says. `str()` says why."""

    code = "body_unreadable"


class TaskRefusedError(RequestRefusedError):
    """A call to Cloud Tasks fails. `status` is a `grpc.StatusCode`."""

    code = "task_refused"

    def __init__(self, status: Any, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(f"{getattr(status, 'name', status)}: {message}")


class TokenServiceError(SimulatorError):
    """The token service of a webhook endpoint gave no token."""

    code = "token_service_failed"


# Starting and running


class StartError(SimulatorError):
    """Something could not be started."""

    code = "start_failed"


class PortTakenError(StartError):
    """Another process listens on the port."""

    code = "port_taken"

    def __init__(self, host: str, port: int, purpose: str) -> None:
        self.host, self.port, self.purpose = host, port, purpose
        super().__init__(f"port {port} on {host} is taken, so {purpose} cannot have it")


class StateUnusableError(StartError):
    """The functions run and cannot use the store they were given."""

    code = "state_unusable"


class FunctionSourceError(StartError):
    """`main.py`, which functions-framework loads, is neither beside the package nor in the wheel."""

    code = "function_source_missing"


class ChildEndedError(SimulatorError):
    """A child process ended while it was needed.

    `exit_code` is negative for a signal; `lines` is its last output; `also` holds others that ended at the same time.
    """

    code = "child_ended"

    def __init__(self, name: str, exit_code: int, lines: Sequence[str]) -> None:
        self.name, self.exit_code, self.lines = name, exit_code, tuple(lines)
        self.also: tuple[ChildEndedError, ...] = ()
        how = f"was killed by {signal.Signals(-exit_code).name}" if exit_code < 0 else f"ended with exit code {exit_code}"
        super().__init__(f"the {name} process {how}")


class NoReceiverError(SimulatorError):
    """Nothing accepts connections at the webhook's address: no start of a meeting found a connection."""

    code = "no_receiver"


class RecordingLostError(SimulatorError):
    """An end-to-end run ended without the recording. The text says where it was last seen, and why."""

    code = "recording_lost"


class WorkerError(SimulatorError):
    """The worker, or the host that a link names, failed."""

    code = "worker_failed"


class WorkerUnreachableError(WorkerError):
    """The worker, or the host that a link names, did not answer."""

    code = "worker_unreachable"


class WorkerRefusedError(WorkerError):
    """The worker, or the host that a link names, answered with an error. `status` is its HTTP status."""

    code = "worker_refused"

    def __init__(self, status: int, reason: str) -> None:
        self.status, self.reason = status, reason
        super().__init__(f"{reason} (HTTP {status})")


class LinkRefusedError(WorkerRefusedError):
    """The host of a link refused it, and the fresh one that was asked for, too."""

    code = "link_refused"


class PlatformRefusedError(WorkerRefusedError):
    """Google answered in place of the worker, with a page for people. `reason` says what that means."""

    code = "platform_refused"


def words_of(error: Exception) -> str:
    """What an exception says, or its kind where it says nothing: some of httpx have no words (a lost connection, a time-out)."""
    return str(error) or type(error).__name__
