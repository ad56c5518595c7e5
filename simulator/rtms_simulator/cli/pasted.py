"""Secrets as people paste them: in quotes, with the example's brackets, masked. Refused by name before anything is signed with them."""

from __future__ import annotations

import re

from rtms_simulator.cli.play.outcome import BadInput

_QUOTED = re.compile(r"(['\"`\u2018\u201c]).*['\"`\u2019\u201d]", re.DOTALL)
_EXAMPLE = re.compile(r"<.*>|\$?\{.*\}|\[.*\]", re.DOTALL)
_MASKED = re.compile(r".*(?:\*{3}|\u2022{2}|\u2026|\.{3}).*", re.DOTALL)
_SCHEME = re.compile(r"(Token|Bearer|Basic)\s", re.IGNORECASE)


def checked_secret(option: str, value: str | None) -> str:
    """The value, or an empty text. Raises BadInput, which never shows the value."""
    if not value:
        return ""
    if _SCHEME.match(value):
        raise BadInput(f"{option} begins with {value.split()[0]!r}, which belongs to the header", "give only the value after it.")
    if _QUOTED.fullmatch(value):
        raise BadInput(f"{option} is in quotes, which would be taken as part of it", "leave the quotes out (in a shell, quote once).")
    if _EXAMPLE.fullmatch(value):
        raise BadInput(f"{option} is the example's placeholder", "put the value itself in its place, without the brackets.")
    if _MASKED.fullmatch(value):
        raise BadInput(f"{option} is masked", "copy the secret itself, not the characters that are shown for it.")
    if not all("!" <= letter <= "~" for letter in value):
        raise BadInput(f"{option} has a space, a line break or a character beyond ASCII in it", "copy only the value.")
    return value
