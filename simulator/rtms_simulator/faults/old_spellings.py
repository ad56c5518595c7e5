"""Spellings of the first edition. They are refused, and the refusal shows the new spelling."""

from __future__ import annotations

import re

_ZOOM_WEBHOOK = {"late": "late", "duplicate": "duplicate", "reorder": "reorder", "drop": "lost"} | {
    word: word for word in ("wrong-signature", "unsigned", "stale", "style")
}
_ZOOM_RTMS = {"refuse": "refuse", "unreachable": "", "close-unanswered": "cut"}
_ZOOM_STREAM = ("keep-alive-silence", "slow-close", "drop-signaling", "drop-media", "fail-over", "concurrency-limited")
_NAMED = ("copies", "after", "code", "at")
_STEPS = {r"\bdup\b": "duplicate", r"\bswap\b": "reorder", r"\bretry-after (\d+)": r"retry-after=\1", r"\bafter 201\b": "done"}


def new_spelling(text: str) -> str | None:
    """The new spelling of an old one; None if it is not an old spelling."""
    name, _, rest = (part.strip() for part in text.partition(":"))
    if name in _ZOOM_WEBHOOK or name in _ZOOM_RTMS or name in _ZOOM_STREAM:
        return _of_zoom(name, dict(part.strip().partition("=")[::2] for part in rest.split(",") if "=" in part))
    if not re.match(r"(recall|webhook)\.", name):
        return None
    steps = re.sub(r"\bcut after 201\b", "cut", rest)
    for old, new in _STEPS.items():
        steps = re.sub(old, new, steps)
    target = re.sub(r"^webhook\.", "recall.webhook.", name)
    return f"{target}: {steps}" if (target, steps) != (name, rest) else None


def _of_zoom(name: str, settings: dict[str, str]) -> str:
    times = settings.pop("times", "1")
    repeat = "" if times == "1" else " x*" if times == "0" else f" x{times}"
    event, socket = settings.pop("event", "*"), settings.pop("socket", "*").replace("any", "*")
    if name == "duplicate" and "seconds" in settings:
        settings["after"] = f"{settings.pop('seconds')}s"
    if "at" in settings:
        settings["at"] += "s"
    written = [f" {key}={value}" if key in _NAMED else f" {_plain(key, value)}" for key, value in settings.items()]
    written.sort(key=lambda part: "=" in part)
    if name in _ZOOM_STREAM:
        return f"zoom.stream: {name}{''.join(written)}"
    if name in _ZOOM_RTMS:
        return f"zoom.rtms.{socket}: {(_ZOOM_RTMS[name] + ''.join(written)).strip() or '503'}{repeat}"
    return f"zoom.webhook.{event}: {_ZOOM_WEBHOOK[name]}{''.join(written)}{repeat}"


def _plain(key: str, value: str) -> str:
    return f"{value}s" if key == "seconds" else value
