"""What a use case answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer with 200, and what to note on the request's one log line."""

    body: dict[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
