"""Scenarios from TOML: the library's by name, a file by path. A mistake is reported with file, line, key and what is allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path as FilePath
from types import SimpleNamespace
from typing import Any, cast

from rtms_simulator.errors import ScenarioError
from rtms_simulator.faults.grammar import did_you_mean
from rtms_simulator.scenario.actions import (
    KINDS,
    LONGEST_S,
    MAX_USER_ID,
    OUTCOMES,
    PRODUCTS,
    ROLES,
    UNREAD,
    UNREAD_KIND,
    Action,
    Person,
    ScenarioField,
)
from rtms_simulator.scenario.checks import ScenarioParts, find
from rtms_simulator.scenario.languages import LANGUAGES
from rtms_simulator.scenario.mistakes import Mistakes, joined, placed
from rtms_simulator.scenario.model import Scenario
from rtms_simulator.scenario.switches import by_name, path_of
from rtms_simulator.scenario.toml_lines import Path, lines_of

_LIBRARY = files("rtms_simulator") / "scenario" / "library"
FIRST_USER_ID = 16778240  # what Zoom gives the first participant of a meeting (seen on the wire, D.2); later ones are 1024 apart

SCENARIO_KEYS: dict[str, ScenarioField] = {
    "name": ScenarioField(str, "a text"),
    "summary": ScenarioField(str, "a text", default=""),
    "product": ScenarioField(str, "which product holds it", default="meeting", choices=PRODUCTS),
    "seed": ScenarioField(int, "a whole number", default=0),
    "duration_s": ScenarioField(float, "seconds, above 0", required=True),
    "meetings": ScenarioField(int, "how many of them run at once", default=1),
    "apps": ScenarioField(int, "how many apps receive a stream of it", default=1),
    "auto_start": ScenarioField(bool, "whether a stream starts by itself; else by `reallow` or Zoom's REST call", default=True),
    "meeting_events": ScenarioField(list, "plain events sent as well, such as meeting.started and meeting.participant_joined"),
    "custom_fields": ScenarioField(dict, "of a contact center's started webhook, such as the call's SIP data"),
    "switches": ScenarioField(dict, "of the fakes, as `zoom.close_code = 1001` (docs/switches.md); set when it is played, until a reset"),
    "outcome": ScenarioField(str, "its right end", default="recorded", choices=OUTCOMES),
    "people": ScenarioField(list, "tables with a name", required=True),
    "timeline": ScenarioField(list, "tables with at_s and kind", default=()),
}
PERSON_KEYS: dict[str, ScenarioField] = {
    "name": ScenarioField(str, "a name, each only once", required=True),
    "user_id": ScenarioField(int, f"1 to {MAX_USER_ID}"),
    "role": ScenarioField(str, "what they are", default="participant", choices=ROLES),
    "language": ScenarioField(str, "what they speak", default="english", choices=tuple(LANGUAGES)),
    "channel_id": ScenarioField(str, "the contact center's name for their audio"),
    "phone_number": ScenarioField(str, "as E.164, +15550100"),
    "contact_id": ScenarioField(str, "the contact center's user_id, a text such as customer-contact-id"),
    "participant_mode": ScenarioField(str, "the contact center's word for the party, such as caller"),
    "queue_id": ScenarioField(str, "the contact center's queue"),
    "queue_name": ScenarioField(str, "its name"),
    "account_id": ScenarioField(str, "the contact center's account"),
    "division_id": ScenarioField(str, "the contact center's division"),
    "invited": ScenarioField(bool, "whether on the invite list, which Zoom's REST call asks for", default=True),
}
_TYPE_NAMES: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    list: "a list",
    dict: "a table",
    bool: "true or false",
}


def names() -> tuple[str, ...]:
    """The library's scenarios, in order."""
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _LIBRARY.iterdir() if entry.name.endswith(".toml")))


UnusableSwitches = Callable[[Mapping[str, Any]], Mapping[str, str]]
"""Of switches by name, those that there are not or that cannot have their value, each with the reason."""


def load(name_or_path: str | FilePath, *, unusable: UnusableSwitches | None = None) -> Scenario:
    """A scenario of the library by name, or a TOML file by path (anything with a `/` or ending in `.toml`).

    `unusable` checks its switches. Raises ScenarioError with every mistake: file, line, key and what is allowed.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, FilePath) or "/" in text or text.endswith(".toml"):
        path = FilePath(name_or_path)
        try:
            source = path.read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ScenarioError(f"cannot be read: {error}", file=text, allowed="a readable UTF-8 TOML file") from None
        return parse(source, file=text, name=path.stem, unusable=unusable)
    if text not in names():
        raise ScenarioError(f"there is no scenario {text!r}", allowed=f"{', '.join(names())}, or a path to a .toml file")
    entry = _LIBRARY / f"{text}.toml"
    return parse(entry.read_text(encoding="utf-8"), file=str(entry), name=text, unusable=unusable)


def parse(source: str, *, file: str = "<text>", name: str = "scenario", unusable: UnusableSwitches | None = None) -> Scenario:
    """A scenario from the text of a TOML document; `name` stands in for a missing `name` key. Raises ScenarioError as `load`."""
    try:
        document = tomllib.loads(source)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        at = re.search(r"at line (\d+)", str(error))
        raise ScenarioError(f"not TOML: {error}", file=file, line=int(at[1]) if at else None, allowed="TOML 1.0") from None
    mistakes = Mistakes()
    scenario = _build(document, name, mistakes)
    lines = lines_of(source) if mistakes.errors or unusable is not None else {}
    if unusable is not None:
        for switch, problem in unusable(by_name(_table_of(document.get("switches")))).items():
            mistakes.errors.append(ScenarioError(problem, path=path_of(switch, lines)))
    if mistakes.errors:
        placed_errors = [placed(error, file, _line(error.path, lines)) for error in mistakes.errors]
        raise joined(sorted(placed_errors, key=lambda error: error.line or 0))
    assert scenario is not None
    return scenario


def _line(at: Path, lines: Mapping[Path, int]) -> int:
    """The line of a path, or of the nearest table around it."""
    while at and at not in lines:
        at = at[:-1]
    return lines.get(at, 1)


def _table_of(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _build(document: Mapping[str, Any], name: str, mistakes: Mistakes) -> Scenario | None:
    """The scenario, or None with what is wrong in `mistakes`."""
    top = _read(document, SCENARIO_KEYS, (), mistakes)
    people = [_read_person(row, index, mistakes) for index, row in enumerate(top.get("people", ()))]
    user_ids = {person.name: person.user_id for person in people if person is not UNREAD}
    complete = "people" in top and UNREAD not in people
    timeline = tuple(
        _read_action(row, ("timeline", index), user_ids if complete else None, mistakes) for index, row in enumerate(top["timeline"])
    )
    values: dict[str, Any] = {"name": name, "duration_s": float(LONGEST_S)} | top
    values |= {
        "people": tuple(people),
        "timeline": timeline,
        "meeting_events": tuple(top.get("meeting_events", ())),
        "switches": by_name(top.get("switches", {})),
    }
    if not mistakes.errors:
        with mistakes.kept():
            return Scenario(**values)
        return None
    parts = SimpleNamespace(**({"custom_fields": {}} | values))
    find(cast("ScenarioParts", parts), mistakes, complete=complete)
    return None


def _read_person(row: object, index: int, mistakes: Mistakes) -> Person:
    """The person; `UNREAD` without a name."""
    person = _read(row, PERSON_KEYS, ("people", index), mistakes)
    if "name" not in person:
        return UNREAD
    person["language"] = LANGUAGES[person["language"]]
    person.setdefault("user_id", FIRST_USER_ID + 1024 * index)
    return Person(**person)


_HEAD = {
    "at_s": ScenarioField(float, "seconds from the start", required=True),
    "kind": ScenarioField(str, "what happens", required=True, choices=tuple(KINDS)),
}


def _read_action(row: object, here: Path, user_ids: Mapping[str, int] | None, mistakes: Mistakes) -> Action:
    """The action; one of `UNREAD_KIND` if something of it cannot be used. `user_ids` None: not everybody could be read."""
    unread, before = Action(0.0, UNREAD_KIND), len(mistakes.errors)
    kind = _kind_of(row, here, mistakes)
    if kind is None:  # which other keys there may be is not known
        return unread
    names = tuple(user_ids) if user_ids is not None else ()
    by_whom = {"who": ScenarioField(str, "by whom", required=True, choices=names)} if KINDS[kind].who else {}
    own = _fields_in_file(kind)
    del mistakes.errors[before:]  # the head is read a second time, with the keys of its kind
    values = _read(row, _HEAD | by_whom | own, here, mistakes)
    if len(mistakes.errors) > before or (by_whom and user_ids is None):
        return unread
    if "language" in values:
        values["language"] = LANGUAGES[values["language"]]
    who = user_ids[values["who"]] if by_whom and user_ids is not None else None
    return Action(values["at_s"], kind, who, {key: value for key, value in values.items() if key in own})


def _kind_of(row: object, here: Path, mistakes: Mistakes) -> str | None:
    with mistakes.kept():
        if not isinstance(row, dict):
            raise ScenarioError("not a table", path=here, allowed="a table with at_s and kind")
        return _read({key: value for key, value in row.items() if key in _HEAD}, _HEAD, here, mistakes).get("kind")
    return None


def _fields_in_file(kind: str) -> dict[str, ScenarioField]:
    """The keys of a kind of action as the file has them. Languages are names there and Zoom's numbers in the model."""
    names_of_languages = {"type": str, "choices": tuple(LANGUAGES)}
    return {key: replace(field, **names_of_languages) if key == "language" else field for key, field in KINDS[kind].fields.items()}


def _read(row: object, keys: Mapping[str, ScenarioField], here: Path, mistakes: Mistakes) -> dict[str, Any]:
    """The row's values, each of its type, defaults filled in. What is missing, unknown or of another type goes into `mistakes`."""
    values: dict[str, Any] = {key: field.default for key, field in keys.items() if field.default is not None}
    with mistakes.kept():
        if not isinstance(row, dict):
            raise ScenarioError("not a table", path=here, allowed=f"a table with {', '.join(keys)}")
    table = _table_of(row) if isinstance(row, dict) else None
    if table is None:
        return values
    for key in table:
        with mistakes.kept():
            if key not in keys:
                raise ScenarioError(f"unknown key{_near(key, keys)}", path=(*here, key), allowed=", ".join(keys))
    for key, field in keys.items():
        with mistakes.kept():
            if key in table:
                values[key] = _value(table[key], field, (*here, key))
            elif field.required:
                raise ScenarioError("missing", path=(*here, key), allowed=", ".join(field.choices) or field.says)
    return values


def _near(word: object, known: Iterable[str]) -> str:
    """`; did you mean X?` or nothing."""
    close = did_you_mean(word, known).strip() if isinstance(word, str) else ""
    return f"; {close}" if close else ""


def _value(value: object, field: ScenarioField, here: Path) -> object:
    if field.type is float and type(value) is int:
        value = float(value)
    if type(value) is not field.type:
        allowed = f"{_TYPE_NAMES[field.type]}: {', '.join(field.choices) or field.says}"
        raise ScenarioError(f"found {value!r}", path=here, allowed=allowed)
    if field.choices and value not in field.choices:
        raise ScenarioError(f"found {value!r}{_near(value, field.choices)}", path=here, allowed=", ".join(field.choices))
    return value
