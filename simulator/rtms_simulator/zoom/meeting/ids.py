"""Ids as Zoom makes them, from a seeded Random: one scenario and one seed give the same ids."""

from __future__ import annotations

from base64 import b64encode
from random import Random


def hex_id(random: Random, digits: int) -> str:
    """That many lower-case hex digits."""
    return f"{random.getrandbits(digits * 4):0{digits}x}"


def uuid_id(random: Random) -> str:
    """Like a meeting's UUID: 16 bytes in base64, which may hold `/`, `+` and ends in `==`."""
    return b64encode(random.randbytes(16)).decode()


def entity_id(random: Random, product: str) -> str:
    """meeting_uuid, webinar_uuid and session_id are base64; engagement_id and call_id are 32 hex digits."""
    return hex_id(random, 32) if product in ("contact_center", "phone") else uuid_id(random)


def meeting_number(random: Random) -> str:
    """Eleven digits."""
    return str(random.randrange(10**10, 10**11))
