"""Scenarios from TOML: the library's by name, a file by path. A mistake is reported with file, line, key and what is allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any

from rtms_simulator.errors import ScenarioError
from rtms_simulator.scenario.actions import KINDS, MAX_USER_ID, PRODUCTS, ROLES, Action, Person, ScenarioField
from rtms_simulator.scenario.languages import LANGUAGES
from rtms_simulator.scenario.model import Scenario
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


def load(name_or_path: str | FilePath) -> Scenario:
    """A scenario of the library by name, or a TOML file by path (anything with a `/` or ending in `.toml`).

    Raises ScenarioError with file, line, key and what is allowed.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, FilePath) or "/" in text or text.endswith(".toml"):
        path = FilePath(name_or_path)
        try:
            source = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ScenarioError(f"cannot be read: {error}", file=text, allowed="a readable UTF-8 TOML file") from None
        return parse(source, file=text, name=path.stem)
    if text not in names():
        raise ScenarioError(f"there is no scenario {text!r}", allowed=f"{', '.join(names())}, or a path to a .toml file")
    entry = _LIBRARY / f"{text}.toml"
    return parse(entry.read_text(encoding="utf-8"), file=str(entry), name=text)


def parse(source: str, *, file: str = "<text>", name: str = "scenario") -> Scenario:
    """A scenario from the text of a TOML document; `name` stands in for a missing `name` key. Raises ScenarioError as `load`."""
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        raise ScenarioError(f"not TOML: {error}", file=file, line=int(found[1]) if found else None, allowed="TOML 1.0") from None
    try:
        return _build(document, name)
    except ScenarioError as error:
        lines = lines_of(source)
        at = error.path
        while at and at not in lines:
            at = at[:-1]
        raise ScenarioError(error.problem, path=error.path, allowed=error.allowed, file=file, line=lines.get(at, 1)) from None


def _build(document: Mapping[str, Any], name: str) -> Scenario:
    top = _read(document, SCENARIO_KEYS, ())
    people: list[Person] = []
    for index, row in enumerate(top["people"]):
        person = _read(row, PERSON_KEYS, ("people", index))
        person["language"] = LANGUAGES[person["language"]]
        person.setdefault("user_id", FIRST_USER_ID + 1024 * index)
        people.append(Person(**person))
    user_ids = {person.name: person.user_id for person in people}
    timeline = tuple(_read_action(row, ("timeline", index), user_ids) for index, row in enumerate(top["timeline"]))
    lists = {"people": tuple(people), "timeline": timeline, "meeting_events": tuple(top.get("meeting_events", ()))}
    values: dict[str, Any] = {"name": name} | top | lists
    return Scenario(**values)


def _read_action(row: object, here: Path, user_ids: Mapping[str, int]) -> Action:
    head = {
        "at_s": ScenarioField(float, "seconds from the start", required=True),
        "kind": ScenarioField(str, "what happens", required=True, choices=tuple(KINDS)),
    }
    if not isinstance(row, dict):
        raise ScenarioError("not a table", path=here, allowed="a table with at_s and kind")
    kind = _read({key: value for key, value in row.items() if key in head}, head, here)["kind"]
    by_whom = {"who": ScenarioField(str, "by whom", required=True, choices=tuple(user_ids))} if KINDS[kind].who else {}
    # Languages are names in the file and Zoom's numbers in the model.
    names_of_languages = {"type": str, "choices": tuple(LANGUAGES)}
    own = {key: replace(field, **names_of_languages) if key == "language" else field for key, field in KINDS[kind].fields.items()}
    values = _read(row, head | by_whom | own, here)
    if "language" in values:
        values["language"] = LANGUAGES[values["language"]]
    who = user_ids[values["who"]] if by_whom else None
    return Action(values["at_s"], kind, who, {key: value for key, value in values.items() if key in own})


def _read(row: object, keys: Mapping[str, ScenarioField], here: Path) -> dict[str, Any]:
    """The row's values, defaults filled in, each of its type. Raises ScenarioError for what is missing, unknown or of another type."""
    if not isinstance(row, dict):
        raise ScenarioError("not a table", path=here, allowed=f"a table with {', '.join(keys)}")
    for key in row:
        if key not in keys:
            raise ScenarioError("unknown key", path=(*here, key), allowed=", ".join(keys))
    values: dict[str, Any] = {}
    for key, field in keys.items():
        if key in row:
            values[key] = _value(row[key], field, (*here, key))
        elif field.required:
            raise ScenarioError("missing", path=(*here, key), allowed=", ".join(field.choices) or field.says)
        elif field.default is not None:
            values[key] = field.default
    return values


def _value(value: object, field: ScenarioField, here: Path) -> object:
    if field.type is float and type(value) is int:
        value = float(value)
    if type(value) is not field.type:
        allowed = f"{_TYPE_NAMES[field.type]}: {', '.join(field.choices) or field.says}"
        raise ScenarioError(f"found {value!r}", path=here, allowed=allowed)
    if field.choices and value not in field.choices:
        raise ScenarioError(f"found {value!r}", path=here, allowed=", ".join(field.choices))
    return value
