"""Reads a fault as `grammar` describes it (pure)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from rtms_simulator.errors import FaultError
from rtms_simulator.faults.grammar import (
    FOREVER,
    MOST_TIMES,
    STATUS,
    Family,
    Fault,
    FaultWord,
    Occasion,
    SettingType,
    Step,
    Value,
    did_you_mean,
    family_of,
)
from rtms_simulator.faults.old_spellings import new_spelling


def parse(text: str, families: Sequence[Family]) -> Fault:
    """Read a fault of these families. Raises FaultError, which says what is wrong and what is allowed."""
    target, colon, rest = (part.strip() for part in text.partition(":"))
    family = family_of(target, families) if colon else None
    if (new := new_spelling(text)) is not None:
        raise FaultError(f"{text!r} is written {new!r} now")
    if family is None:
        raise FaultError(f"{text!r}: {_closest(target, families)}a fault is written `TARGET: STEP`, and {_targets(families)}")
    _check_name(text, target, family)
    try:
        tokens = shlex.split(rest)
    except ValueError as error:
        raise FaultError(f"{text!r}: {str(error).lower()}") from None
    return Fault(family, target, tuple(_step(family, target, part) for part in _parts(tokens)))


def _closest(target: str, families: Sequence[Family]) -> str:
    name, _, rest = target.partition(".")
    vendors = {family.vendor for family in families}
    if name not in vendors and (close := did_you_mean(name, vendors)):
        return f"{close.removesuffix('? ')}.{rest}? " if rest else close
    return did_you_mean(target, [family.prefix for family in families])


def _targets(families: Sequence[Family]) -> str:
    return f"the targets are {', '.join(family.form for family in families)}"


def _check_name(text: str, target: str, family: Family) -> None:
    """Refuse a target that nothing can ever match."""
    if re.fullmatch(r"[\w.*?\[\]!@-]+", target) is None:
        raise FaultError(f"{text!r}: {target!r} is not a target; {family.form} was expected")
    name = target.removeprefix(f"{family.prefix}.")
    if family.name and family.known and not any(fnmatchcase(known, name) for known in family.known):
        raise FaultError(
            f"{text!r}: there is no {family.name} {name!r}; {did_you_mean(name, family.known)}allowed: {', '.join(sorted(family.known))}"
        )


def _parts(tokens: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for part in tokens:
        if part == "then":
            parts.append([])
        else:
            parts[-1].append(part)
    return parts


def _step(family: Family, target: str, tokens: Sequence[str]) -> Step:
    name = tokens[0] if tokens else ""
    key = STATUS if STATUS in family.words and re.fullmatch(r"\d+", name) else name
    if not tokens:
        raise FaultError(f"{target}: a step is missing; allowed: {', '.join(family.all_words)}")
    if key not in family.all_words or name == STATUS:
        words = did_you_mean(name, family.all_words)
        raise FaultError(f"{target}: there is no step {name!r}; {words}allowed: {', '.join(family.all_words)}")
    word = family.words.get(key, FaultWord("nothing"))
    if word.only and not fnmatchcase(word.only, target):
        raise FaultError(f"{target}: only {word.only} can do {name!r}")
    rest, times = _times(family, target, list(tokens[1:]))
    values = {"status": _value(target, name, "status", word, name)} if key == STATUS else {}
    for token in rest:
        setting, value = _given(target, name, word, token, values)
        values[setting] = value
    return Step(key, times, {setting: values.get(setting, row.default) for setting, row in word.settings.items()})


def _times(family: Family, target: str, tokens: list[str]) -> tuple[list[str], int]:
    match = re.fullmatch(r"x(\d+|\*)", tokens[-1]) if tokens else None
    if match is None:
        return tokens, 1
    if family.occasion is not Occasion.EACH:
        raise FaultError(f"{target}: {tokens[-1]} does not fit here; its steps are used up by {family.occasion.value}")
    times = FOREVER if match[1] == "*" else int(match[1])
    if times == 0 or times > MOST_TIMES:
        raise FaultError(f"{target}: {tokens[-1]} is not allowed; x1 to x{MOST_TIMES}, or x* for ever")
    return tokens[:-1], times


def _given(target: str, name: str, word: FaultWord, token: str, values: Mapping[str, Value]) -> tuple[str, Value]:
    """One token after the word as (setting, value)."""
    key, equals, text = token.partition("=")
    setting = word.settings.get(key)
    flag = setting is not None and setting.type is SettingType.FLAG
    value: Value
    if flag and not equals:
        value = True
    elif word.value and not equals:
        key, value = word.value, _value(target, name, word.value, word, token)
    elif setting is not None and equals and not flag:
        value = _value(target, name, key, word, text)
    else:
        raise FaultError(f"{target}: {name} takes no {token!r}; {did_you_mean(key, word.settings)}allowed: {_allowed(word)}, xN")
    if key in values:
        raise FaultError(f"{target}: {name} is given {key} twice")
    return key, value


def _allowed(word: FaultWord) -> str:
    """The settings of a word as they are written: `flag, number=`."""
    known = [setting if row.type is SettingType.FLAG else f"{setting}=" for setting, row in word.settings.items()]
    return ", ".join(known) or "nothing"


def _value(target: str, name: str, key: str, word: FaultWord, text: str) -> Value:
    try:
        return word.settings[key].read(text)
    except ValueError as error:
        raise FaultError(f"{target}: {key} of {name} is {text!r}; {error}") from None
