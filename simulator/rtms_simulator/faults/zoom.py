"""Misbehaviour on purpose, by name: one table for the command line, for scenarios and for the control plane.

A fault is written `name` or `name:key=value,key=value`, for example `late:seconds=4,event=*.rtms_stopped,times=2`. Faults of a delivery
and of a handshake wait in a `FaultBook` until something they match comes by; faults of a stream happen at a moment of the meeting.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

Value = int | float | str | bool


class Where(Enum):
    """What a fault acts on."""

    DELIVERY = "a webhook request"
    HANDSHAKE = "an RTMS handshake"
    STREAM = "a running stream"


class FaultError(ValueError):
    """A fault that does not exist or cannot be so. The text says what is allowed."""


@dataclass(frozen=True, slots=True)
class Param:
    """One setting of a fault; its type is the default's."""

    default: Value
    says: str
    allowed: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """One fault of the table. Those of deliveries and handshakes also take `times` (0 = always), deliveries `event` (a pattern)."""

    where: Where
    says: str
    params: Mapping[str, Param] = field(default_factory=dict)


_TIMES = Param(1, "how often; 0 is always")
_EVENT = Param("*", "which events, as a pattern: *.rtms_stopped")
_SOCKET = Param("any", "on which socket", ("any", "signaling", "media"))
_AT = Param(0.0, "seconds into the meeting")
_MEDIA = ("audio", "video", "deskshare", "transcript", "chat", "all")


def _delivery(says: str, **params: Param) -> Kind:
    return Kind(Where.DELIVERY, says, params | {"event": _EVENT, "times": _TIMES})


def _handshake(says: str, **params: Param) -> Kind:
    return Kind(Where.HANDSHAKE, says, params | {"socket": _SOCKET, "times": _TIMES})


def _stream(says: str, **params: Param) -> Kind:
    return Kind(Where.STREAM, says, params | {"at": _AT})


FAULTS: Mapping[str, Kind] = {
    "late": _delivery("the request comes late; its event_ts and timestamp do not change", seconds=Param(5.0, "how late")),
    "duplicate": _delivery("the same request comes again", copies=Param(1, "how many more"), seconds=Param(0.0, "how much later")),
    "reorder": _delivery("the request waits until the next one has been sent", seconds=Param(5.0, "at most this long")),
    "drop": _delivery("the request is never sent"),
    "wrong-signature": _delivery("one digit of the signature is wrong"),
    "unsigned": _delivery("the signature headers are missing"),
    "stale": _delivery("correctly signed, long ago", seconds=Param(7200.0, "how old the timestamp is")),
    "style": _delivery(
        "another way to write the body, correctly signed: shows receivers that re-serialise",
        style=Param(
            "escaped-unicode",
            "which",
            ("payload-first", "payload-between", "escaped-unicode", "spaced", "escaped-slashes", "float-numbers"),
        ),
    ),
    "refuse": _handshake("the next handshakes get this status", status=Param(3, "0 to 47")),
    "unreachable": _handshake("the WebSocket upgrade is answered with an HTTP status", status=Param(503, "an HTTP status")),
    "close-unanswered": _handshake("the socket is closed instead of answering", code=Param(1000, "the close code")),
    "keep-alive-silence": _stream("no keep-alive is sent any more"),
    "slow-close": _stream("at the end the sockets stay open", seconds=Param(5.0, "how long")),
    "drop-signaling": _stream("the signaling socket breaks: rtms_interrupted, 60 s to come back"),
    "drop-media": _stream("one media socket breaks: event 7, 65 s to come back", media=Param("audio", "which", _MEDIA)),
    "fail-over": _stream("the RTMS server dies: a second rtms_started with new server_urls"),
    "concurrency-limited": _stream("the account's limit is reached: no stream starts, the event says so", limit=Param(2000, "the limit")),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault with its settings, defaults filled in. Raises FaultError."""

    name: str
    params: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        kind = FAULTS.get(self.name)
        if kind is None:
            raise FaultError(f"no fault {self.name!r} (allowed: {', '.join(FAULTS)})")
        for key in self.params:
            if key not in kind.params:
                raise FaultError(f"{self.name} has no setting {key!r} (allowed: {', '.join(kind.params)})")
        filled = {key: _typed(self.name, key, param, self.params.get(key, param.default)) for key, param in kind.params.items()}
        object.__setattr__(self, "params", filled)

    @property
    def where(self) -> Where:
        return FAULTS[self.name].where

    def number(self, key: str) -> float:
        """A numeric setting."""
        value = self.params[key]
        assert not isinstance(value, str)
        return float(value)

    def text(self, key: str) -> str:
        """A setting as text."""
        return str(self.params[key])

    def __str__(self) -> str:
        """As `parse` reads it, without what is at its default."""
        changed = [f"{key}={self.params[key]}" for key, param in FAULTS[self.name].params.items() if self.params[key] != param.default]
        return ":".join((self.name, ",".join(changed))) if changed else self.name


def _typed(name: str, key: str, param: Param, found: Any) -> Value:
    wanted = type(param.default)
    try:
        value: Value = wanted(found)
    except (TypeError, ValueError):
        raise FaultError(f"{name}: {key} is {found!r}, {param.says} (a {wanted.__name__}) was expected") from None
    if param.allowed and value not in param.allowed:
        raise FaultError(f"{name}: {key} is {found!r} (allowed: {', '.join(map(str, param.allowed))})")
    if isinstance(value, (int, float)) and not 0 <= value <= 1e9:
        raise FaultError(f"{name}: {key} is {found!r}, a number from 0 to 1e9 was expected")
    return value


def parse(text: str) -> Fault:
    """`name:key=value,...` to a Fault. Raises FaultError."""
    name, _, rest = text.partition(":")
    params: dict[str, str] = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise FaultError(f"{text!r}: {part!r} is not key=value")
        params[key.strip()] = value.strip()
    return Fault(name.strip(), params)


@dataclass(slots=True)
class Armed:
    """A fault that waits. `left` None is always."""

    id: int
    fault: Fault
    left: int | None


class FaultBook:
    """The faults that are waiting, oldest first."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._ids = itertools.count(1)
        self._armed: list[Armed] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> Armed:
        times = int(fault.params.get("times", 1))
        armed = Armed(next(self._ids), fault, times or None)
        self._armed.append(armed)
        return armed

    def clear(self, id_: int | None = None) -> int:
        """Forget one fault, or all. Returns how many went."""
        before = len(self._armed)
        self._armed = [armed for armed in self._armed if id_ is not None and armed.id != id_]
        return before - len(self._armed)

    def listed(self) -> tuple[Armed, ...]:
        return tuple(self._armed)

    def take(self, where: Where, *names: str, event: str = "", socket: str = "any") -> list[Fault]:
        """The waiting faults that act here and now, the oldest of each name, each counted as used once. `names` narrows to these."""
        taken: list[Fault] = []
        for armed in list(self._armed):
            fault = armed.fault
            if fault.where is not where or (names and fault.name not in names) or any(one.name == fault.name for one in taken):
                continue
            if where is Where.DELIVERY and not fnmatchcase(event, fault.text("event")):
                continue
            if where is Where.HANDSHAKE and fault.params["socket"] not in ("any", socket):
                continue
            taken.append(fault)
            if armed.left is not None:
                armed.left -= 1
                if armed.left == 0:
                    self._armed.remove(armed)
        return taken
