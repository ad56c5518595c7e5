"""Words and settings that several vendors share: the same misbehaviour has the same word everywhere."""

from __future__ import annotations

from rtms_simulator.faults.grammar import FaultWord, Setting, SettingType


def duration(default: float, says: str) -> Setting:
    return Setting(SettingType.DURATION, float(default), says)


HTTP_STATUS = Setting(SettingType.WHOLE, 503, "an HTTP status, 200 to 599", least=200, most=599)


_COPIES = Setting(SettingType.WHOLE, 1, "how many more", least=1, most=100)


def delivery_words() -> dict[str, FaultWord]:
    """What can happen to anything that is sent: a webhook of either vendor, a task."""
    late, longest, after = duration(5, "how late"), duration(5, "at most this long"), duration(0, "how much later")
    return {
        "late": FaultWord("it is sent so much later; what it says of its time does not change", {"seconds": late}, value="seconds"),
        "duplicate": FaultWord("it is sent again", {"copies": _COPIES, "after": after}),
        "reorder": FaultWord("it waits until the next one has been sent", {"seconds": longest}, value="seconds"),
        "lost": FaultWord("it is never sent"),
    }
