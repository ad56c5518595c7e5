"""Whether the parts of a scenario agree: `check` raises ScenarioError, with the path as in a TOML file, for the first mistake."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from rtms_simulator.errors import ScenarioError
from rtms_simulator.scenario.actions import (
    KINDS,
    LONGEST_S,
    MAX_USER_ID,
    PRODUCTS,
    ROLES,
    Action,
    ActionContext,
    Person,
    check_json,
    latecomers,
    moment,
)
from rtms_simulator.scenario.languages import LANGUAGES
from rtms_simulator.scenario.meeting_events import MEETING_EVENTS
from rtms_simulator.scenario.toml_lines import Path

MOST_AT_ONCE = 2000


class ScenarioParts(Protocol):
    """What is checked: the fields of a `Scenario`."""

    @property
    def product(self) -> str: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def meetings(self) -> int: ...
    @property
    def apps(self) -> int: ...
    @property
    def people(self) -> tuple[Person, ...]: ...
    @property
    def timeline(self) -> tuple[Action, ...]: ...
    @property
    def meeting_events(self) -> tuple[str, ...]: ...
    @property
    def custom_fields(self) -> Mapping[str, Any]: ...


def check(scenario: ScenarioParts) -> None:
    """Raises ScenarioError."""
    if scenario.product not in PRODUCTS:
        raise ScenarioError(f"unknown product {scenario.product!r}", path=("product",), allowed=", ".join(PRODUCTS))
    if not (math.isfinite(scenario.duration_s) and 0 < scenario.duration_s <= LONGEST_S):
        allowed = f"seconds, above 0, at most {LONGEST_S}"
        raise ScenarioError(f"{scenario.duration_s} is not a duration", path=("duration_s",), allowed=allowed)
    for name, number in (("meetings", scenario.meetings), ("apps", scenario.apps)):
        if not 1 <= number <= MOST_AT_ONCE:
            raise ScenarioError(f"found {number}", path=(name,), allowed=f"1 to {MOST_AT_ONCE}")
    _check_webhook_keys(scenario)
    _check_people(scenario.people)
    _TimelineCheck(scenario).run()


def _check_webhook_keys(scenario: ScenarioParts) -> None:
    events = MEETING_EVENTS.get(scenario.product, ())
    for index, name in enumerate(scenario.meeting_events):
        if name not in events:
            allowed = ", ".join(events) or f"none in a {scenario.product}"
            raise ScenarioError(f"found {name!r}", path=("meeting_events", index), allowed=allowed)
    if scenario.custom_fields and scenario.product != "contact_center":
        raise ScenarioError("a contact center's webhook has them", path=("custom_fields",), allowed="only in a contact_center")
    check_json(scenario.custom_fields, ("custom_fields",))


def _check_people(people: tuple[Person, ...]) -> None:
    if not people:
        raise ScenarioError("nobody is there", path=("people",), allowed="at least one person")
    names: set[Any] = set()
    user_ids: set[Any] = set()
    for index, person in enumerate(people):
        _check_person(person, ("people", index))
        for key, seen in (("name", names), ("user_id", user_ids)):
            if (value := getattr(person, key)) in seen:
                raise ScenarioError(f"{value!r} is there twice", path=("people", index, key), allowed="each only once")
            seen.add(value)


def _check_person(person: Person, here: Path) -> None:
    if not person.name.strip():
        raise ScenarioError("empty name", path=(*here, "name"), allowed="a name")
    if not 0 < person.user_id <= MAX_USER_ID:
        raise ScenarioError(f"found {person.user_id}", path=(*here, "user_id"), allowed=f"1 to {MAX_USER_ID}, Zoom's client drops others")
    if person.role not in ROLES:
        raise ScenarioError(f"unknown role {person.role!r}", path=(*here, "role"), allowed=", ".join(ROLES))
    if person.language not in LANGUAGES.values():
        raise ScenarioError(f"unknown language {person.language!r}", path=(*here, "language"), allowed=", ".join(LANGUAGES))


class _TimelineCheck:
    """Walks through a timeline in its order and keeps who is there, until when each speaks, and when it ended."""

    def __init__(self, scenario: ScenarioParts) -> None:
        late = latecomers(scenario.timeline)
        self._scenario = scenario
        self._names = {person.user_id: person.name for person in scenario.people}
        self._present = {person.user_id: person.user_id not in late for person in scenario.people}
        self._busy_until = dict.fromkeys(self._present, 0.0)
        self._ended = math.inf
        self._context = ActionContext(scenario.product, scenario.duration_s, tuple(self._names.values()))

    def run(self) -> None:
        for index, action in sorted(enumerate(self._scenario.timeline), key=lambda pair: moment(pair[1])):
            here: Path = ("timeline", index)
            if action.at_s > self._ended:
                raise ScenarioError("the meeting is over by then", path=(*here, "at_s"), allowed=f"up to its end at {self._ended:g}")
            self._check_fields(action, here)
            if action.kind == "end":
                self._end(action, here)
            if action.who is not None:
                self._check_presence(action, action.who, here)
                self._check_speech(action, action.who, here)

    def _check_fields(self, action: Action, here: Path) -> None:
        kind = KINDS.get(action.kind)
        if kind is None:
            raise ScenarioError(f"unknown kind {action.kind!r}", path=(*here, "kind"), allowed=", ".join(KINDS))
        duration_s = self._scenario.duration_s
        if not 0 <= action.at_s <= duration_s:
            raise ScenarioError(f"found {action.at_s}", path=(*here, "at_s"), allowed=f"0 to duration_s ({duration_s:g})")
        if self._scenario.product not in kind.products:
            mine = ", ".join(name for name, other in KINDS.items() if self._scenario.product in other.products)
            problem = f"a {self._scenario.product} has no {action.kind} (only {', '.join(kind.products)})"
            raise ScenarioError(problem, path=(*here, "kind"), allowed=mine)
        if kind.who and action.who not in self._names:
            raise ScenarioError(f"nobody with user_id {action.who!r}", path=(*here, "who"), allowed="one of the people")
        if not kind.who and action.who is not None:
            raise ScenarioError(f"a {action.kind} is nobody's in particular", path=(*here, "who"), allowed="none")
        _check_data(action, here)
        if kind.check is not None:
            kind.check(action, self._context, here)

    def _end(self, action: Action, here: Path) -> None:
        if self._ended <= action.at_s:
            raise ScenarioError("a second end", path=(*here, "kind"), allowed="one end")
        self._ended = action.at_s
        latest = max(self._busy_until.values())
        if latest > self._ended:
            raise ScenarioError("ends in the middle of a sentence", path=(*here, "at_s"), allowed=f"{latest:g} or later")

    def _check_presence(self, action: Action, who: int, here: Path) -> None:
        present = self._present[who]
        if (action.kind == "join") == present:
            word, allowed = ("already", "somebody who is not there") if present else ("not", "somebody who has joined")
            problem = f"{self._names[who]!r} is {word} in the meeting at {action.at_s:g} s"
            raise ScenarioError(problem, path=(*here, "who"), allowed=allowed)
        if action.kind in ("join", "leave", "eject"):
            self._present[who] = action.kind == "join"

    def _check_speech(self, action: Action, who: int, here: Path) -> None:
        busy_until = self._busy_until[who]
        if action.kind in ("leave", "eject") and busy_until > action.at_s:
            raise ScenarioError("leaves in the middle of a sentence", path=(*here, "at_s"), allowed=f"{busy_until:g} or later")
        if action.kind == "speak":
            if busy_until > action.at_s:
                raise ScenarioError("still speaking then", path=(*here, "at_s"), allowed=f"{busy_until:g} or later")
            self._busy_until[who] = action.data["until_s"]


def _check_data(action: Action, here: Path) -> None:
    """The action's fields are those of its kind, each with an allowed value."""
    fields = KINDS[action.kind].fields
    for name in action.data:
        if name not in fields:
            raise ScenarioError(f"a {action.kind} has no such key", path=(*here, name), allowed=", ".join(fields) or "none")
    for name, field in fields.items():
        value = action.data.get(name)
        if value is None and field.required:
            raise ScenarioError("missing", path=(*here, name), allowed=field.says)
        if value is not None and field.choices and value not in field.choices:
            raise ScenarioError(f"found {value!r}", path=(*here, name), allowed=", ".join(field.choices))
