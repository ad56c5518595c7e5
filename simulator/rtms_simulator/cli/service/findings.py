"""What the doctor finds, and the answers that it looks at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

Status = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's outcome. `do` is empty when there is nothing to do."""

    check: str
    status: Status
    found: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer with the time it took, in seconds of the clock."""

    status: int
    content: bytes
    headers: Any
    seconds: float
    sent: float
    received: float
    tls: Any
