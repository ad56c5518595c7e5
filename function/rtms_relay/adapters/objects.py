"""What both archives share: which names are valid."""

from __future__ import annotations

import re

from rtms_relay.errors import ArchiveError

_PART = re.compile(r"(?!\.+\Z)[A-Za-z0-9._-]+")
_MAX_NAME_BYTES = 1024
_MAX_PART_BYTES = 200


def check_name(name: str) -> None:
    """Raise `ArchiveError` unless `name` is `/`-separated parts of ``[A-Za-z0-9._-]+``, none only dots, as every archive can keep it."""
    parts = name.split("/")
    if len(name) > _MAX_NAME_BYTES or any(len(part) > _MAX_PART_BYTES or _PART.fullmatch(part) is None for part in parts):
        raise ArchiveError("an object's name is made of parts [A-Za-z0-9._-]{1,200}, none only dots, with / between, 1,024 bytes at most")


def check_prefix(prefix: str) -> None:
    """Raise `ArchiveError` unless `prefix` is a valid name and a final `/`: half a part would delete its neighbours too."""
    if not prefix.endswith("/"):
        raise ArchiveError("a prefix ends in /")
    check_name(prefix.removesuffix("/"))
