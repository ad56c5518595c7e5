"""How the beginning of a fault goes on, for completion in a shell (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from rtms_simulator.errors import FaultError
from rtms_simulator.faults.families import FAMILIES, parse_fault
from rtms_simulator.faults.grammar import STATUS, Family, FaultWord, Setting, SettingType, family_of
from rtms_simulator.faults.reference import rows

EXAMPLE_STATUS = "503"


def continuations(text: str) -> list[str]:
    """Texts that begin with `text`: whole faults for a part of a target; then its steps; then a step's settings, or the next step."""
    target, colon, after = text.partition(":")
    family = family_of(target, FAMILIES) if colon else None
    if family is None:
        return _beginning([row.example for row in rows()], text)
    written = text.rpartition(" ")[0] if " " in after else f"{target}:"
    if written == f"{target}:" or written.endswith(" then"):
        return _beginning([f"{written} {word}" for word in _words(family, target)], text)
    try:
        last = parse_fault(written).steps[-1]
    except FaultError:
        return []
    settings = family.words.get(last.word, FaultWord("nothing")).settings
    return _beginning([f"{written} {one}" for one in (*_settings(settings), "then")], text)


def _words(family: Family, target: str) -> list[str]:
    """The steps that the target can make; for any status an example."""
    possible = {name: family.words.get(name, FaultWord("nothing")).only for name in family.all_words}
    fitting = [name for name, only in possible.items() if not only or fnmatchcase(only, target)]
    return [EXAMPLE_STATUS if name == STATUS else name for name in fitting]


def _settings(settings: Mapping[str, Setting]) -> list[str]:
    """As they are written, without a value."""
    return [name if setting.type is SettingType.FLAG else f"{name}=" for name, setting in settings.items()]


def _beginning(texts: Iterable[str], text: str) -> list[str]:
    return [one for one in texts if one.startswith(text)]
