"""What the control plane is made of: operations with typed requests and answers. Serving and the OpenAPI document read them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from starlette.requests import Request

from rtms_simulator.errors import ControlRefusedError

PREFIX = "/_control"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, decoded: `path` by parameter, `query` and `body` as the operation's types."""

    request: Request
    path: Mapping[str, str]
    query: Any
    body: Any


@dataclass(frozen=True, slots=True)
class ControlOperation:
    """One method of one path. `answer`, `body` and `query` are msgspec Structs; `refuses` maps the statuses of its errors to their meaning.

    `stream`: it answers with server-sent events. `upload`: its body is raw bytes.
    """

    method: str
    path: str
    says: str
    handler: Callable[[Call], Awaitable[Any]]
    answer: type[Struct]
    body: type[Struct] | None = None
    query: type[Struct] | None = None
    refuses: Mapping[int, str] | None = None
    stream: bool = False
    upload: bool = False

    @property
    def name(self) -> str:
        """The operationId."""
        parts = [part.strip("{}") if part.startswith("{") else part for part in self.path.strip("/").split("/")]
        return "_".join([self.method.lower(), *parts]).replace("-", "_").replace(".", "_")


NOT_FOUND: Mapping[int, str] = {404: "there is no such object"}
IMPOSSIBLE: Mapping[int, str] = {422: "the request is well formed and cannot be done"}


def missing(what: str, identity: object, known: str) -> ControlRefusedError:
    """404 for an object that is not there."""
    return ControlRefusedError(404, "not_found", f"there is no {what} {identity}; {known}")


def impossible(reason: str) -> ControlRefusedError:
    """422 for a well-formed request that cannot be done."""
    return ControlRefusedError(422, "impossible", reason)
