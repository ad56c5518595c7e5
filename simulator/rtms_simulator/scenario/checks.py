"""Whether the parts of a scenario agree: `check` raises ScenarioError with all mistakes, each with its path as in a TOML file."""

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
    UNREAD,
    UNREAD_KIND,
    Action,
    ActionContext,
    Person,
    check_json,
    latecomers,
    moment,
)
from rtms_simulator.scenario.languages import LANGUAGES
from rtms_simulator.scenario.meeting_events import MEETING_EVENTS
from rtms_simulator.scenario.mistakes import Mistakes
from rtms_simulator.scenario.switches import check_switches
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
    @property
    def switches(self) -> Mapping[str, Any]: ...


def check(scenario: ScenarioParts) -> None:
    """Raises ScenarioError with every mistake."""
    mistakes = Mistakes()
    find(scenario, mistakes)
    mistakes.raise_any()


def find(scenario: ScenarioParts, mistakes: Mistakes, *, complete: bool = True) -> None:
    """Put every mistake into `mistakes`. Not `complete`: parts could not be read, so nothing is said of what may depend on them."""
    for check_part in (_check_product, _check_duration, _check_counts, _check_webhook_keys):
        with mistakes.kept():
            check_part(scenario)
    check_switches(scenario.switches, mistakes)
    _check_people(scenario.people, mistakes, complete=complete)
    _TimelineCheck(scenario, mistakes, complete=complete).run()


def _check_product(scenario: ScenarioParts) -> None:
    if scenario.product not in PRODUCTS:
        raise ScenarioError(f"unknown product {scenario.product!r}", path=("product",), allowed=", ".join(PRODUCTS))


def _check_duration(scenario: ScenarioParts) -> None:
    if not _is_duration(scenario.duration_s):
        allowed = f"seconds, above 0, at most {LONGEST_S}"
        raise ScenarioError(f"{scenario.duration_s} is not a duration", path=("duration_s",), allowed=allowed)


def _is_duration(seconds: float) -> bool:
    return math.isfinite(seconds) and 0 < seconds <= LONGEST_S


def _check_counts(scenario: ScenarioParts) -> None:
    mistakes = Mistakes()
    for name, number in (("meetings", scenario.meetings), ("apps", scenario.apps)):
        with mistakes.kept():
            if not 1 <= number <= MOST_AT_ONCE:
                raise ScenarioError(f"found {number}", path=(name,), allowed=f"1 to {MOST_AT_ONCE}")
    mistakes.raise_any()


def _check_webhook_keys(scenario: ScenarioParts) -> None:
    events, mistakes = MEETING_EVENTS.get(scenario.product, ()), Mistakes()
    for index, name in enumerate(scenario.meeting_events):
        with mistakes.kept():
            if name not in events:
                allowed = ", ".join(events) or f"none in a {scenario.product}"
                raise ScenarioError(f"found {name!r}", path=("meeting_events", index), allowed=allowed)
    with mistakes.kept():
        if scenario.custom_fields and scenario.product != "contact_center":
            raise ScenarioError("a contact center's webhook has them", path=("custom_fields",), allowed="only in a contact_center")
        check_json(scenario.custom_fields, ("custom_fields",))
    mistakes.raise_any()


def _check_people(people: tuple[Person, ...], mistakes: Mistakes, *, complete: bool) -> None:
    with mistakes.kept():
        if not people and complete:
            raise ScenarioError("nobody is there", path=("people",), allowed="at least one person")
    names: set[Any] = set()
    user_ids: set[Any] = set()
    for index, person in enumerate(people):
        if person is UNREAD:
            continue
        with mistakes.kept():
            _check_person(person, ("people", index))
        for key, values in (("name", names), ("user_id", user_ids)):
            with mistakes.kept():
                if (value := getattr(person, key)) in values:
                    raise ScenarioError(f"{value!r} is there twice", path=("people", index, key), allowed="each only once")
            values.add(value)


def _check_person(person: Person, here: Path) -> None:
    mistakes = Mistakes()
    with mistakes.kept():
        if not person.name.strip():
            raise ScenarioError("empty name", path=(*here, "name"), allowed="a name")
    with mistakes.kept():
        if not 0 < person.user_id <= MAX_USER_ID:
            allowed = f"1 to {MAX_USER_ID}, Zoom's client drops others"
            raise ScenarioError(f"found {person.user_id}", path=(*here, "user_id"), allowed=allowed)
    with mistakes.kept():
        if person.role not in ROLES:
            raise ScenarioError(f"unknown role {person.role!r}", path=(*here, "role"), allowed=", ".join(ROLES))
    with mistakes.kept():
        if person.language not in LANGUAGES.values():
            raise ScenarioError(f"unknown language {person.language!r}", path=(*here, "language"), allowed=", ".join(LANGUAGES))
    mistakes.raise_any()


class _TimelineCheck:
    """Walks through a timeline in its order and keeps who is there, until when each speaks, and when it ended.

    Once an action could not be read or was refused, later ones are not checked against what it would have changed.
    """

    def __init__(self, scenario: ScenarioParts, mistakes: Mistakes, *, complete: bool) -> None:
        late = latecomers(scenario.timeline)
        people = [person for person in scenario.people if person is not UNREAD]
        self._scenario = scenario
        self._mistakes = mistakes
        self._duration_s = scenario.duration_s if _is_duration(scenario.duration_s) else float(LONGEST_S)
        self._names = {person.user_id: person.name for person in people}
        self._present = {person.user_id: person.user_id not in late for person in people}
        self._busy_until = dict.fromkeys(self._present, 0.0)
        self._ended = math.inf
        self._context = ActionContext(scenario.product, self._duration_s, tuple(self._names.values()), complete=complete)

    def run(self) -> None:
        for index, action in sorted(enumerate(self._scenario.timeline), key=lambda pair: moment(pair[1])):
            before = len(self._mistakes.errors)
            with self._mistakes.kept():
                self._check(action, ("timeline", index))
            if len(self._mistakes.errors) > before or action.kind == UNREAD_KIND:
                self._context.complete = False

    def _check(self, action: Action, here: Path) -> None:
        if action.kind == UNREAD_KIND:
            return
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
        if not 0 <= action.at_s <= self._duration_s:
            raise ScenarioError(f"found {action.at_s}", path=(*here, "at_s"), allowed=f"0 to duration_s ({self._duration_s:g})")
        if self._scenario.product in PRODUCTS and self._scenario.product not in kind.products:
            mine = ", ".join(name for name, other in KINDS.items() if self._scenario.product in other.products)
            problem = f"a {self._scenario.product} has no {action.kind} (only {', '.join(kind.products)})"
            raise ScenarioError(problem, path=(*here, "kind"), allowed=mine)
        if kind.who and action.who not in self._names:
            raise ScenarioError(f"nobody with user_id {action.who!r}", path=(*here, "who"), allowed="one of the people")
        if not kind.who and action.who is not None:
            raise ScenarioError(f"a {action.kind} belongs to no person", path=(*here, "who"), allowed="none")
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
        if (action.kind == "join") == present and self._context.complete:
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
    fields, mistakes = KINDS[action.kind].fields, Mistakes()
    for name in action.data:
        with mistakes.kept():
            if name not in fields:
                raise ScenarioError(f"a {action.kind} has no such key", path=(*here, name), allowed=", ".join(fields) or "none")
    for name, field in fields.items():
        value = action.data.get(name)
        with mistakes.kept():
            if value is None and field.required:
                raise ScenarioError("missing", path=(*here, name), allowed=field.says)
            if value is not None and field.choices and value not in field.choices:
                raise ScenarioError(f"found {value!r}", path=(*here, name), allowed=", ".join(field.choices))
    mistakes.raise_any()
