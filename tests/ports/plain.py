"""Randomness without chance, and a log that is kept."""

from __future__ import annotations

from typing import Any


async def nothing(_: str) -> None:
    """No trouble."""


class Middle:
    """`Randomness`: the middle of every range."""

    def uniform(self, low: float, high: float) -> float:
        return (low + high) / 2


class Lines:
    """`Log`: lines as they came."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def __call__(self, severity: str, event: str, /, **fields: Any) -> None:
        self.lines.append({"severity": severity, "event": event, **fields})

    def of(self, event: str, severity: str | None = None) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event and severity in (None, line["severity"])]


class Crash(BaseException):
    """The process is gone between two awaits."""
