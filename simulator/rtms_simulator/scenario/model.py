"""A scripted meeting: who is there, who says and does what when, and what goes wrong.

A `Scenario` is plain data and the only truth about a meeting: its webhooks, its media and every expectation of a test are computed
from it, so one scenario and one seed give the same bytes. All times are seconds from the start of the meeting.

`load` reads a named scenario of the library or a TOML file; `KINDS` is the table of everything that can happen in one.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path as FilePath
from typing import Any, Literal, get_args

from rtms_simulator.faults import FaultError, parse_fault
from rtms_simulator.faults.zoom import STREAM
from rtms_simulator.scenario.languages import ENGLISH, LANGUAGES
from rtms_simulator.scenario.toml_lines import Path, lines_of

Product = Literal["meeting", "webinar", "session", "contact_center", "phone"]
PRODUCTS: tuple[str, ...] = get_args(Product)
ROLES = ("host", "participant", "panelist", "attendee", "consumer", "agent", "supervisor")
MAX_USER_ID = 2**31 - 1
"""Zoom's own client drops participants and packets with a larger one (seen on the wire, D.5)."""
STOP_REASONS = range(27)
LONGEST_S = 18 * 3600
"""The time code in the pictures counts a little further than this."""
MEDIA_KINDS = ("audio", "video", "deskshare", "transcript", "chat", "all")
CHAT_OPERATIONS = ("new", "delete", "update", "add_emoji", "remove_emoji")


class ScenarioError(ValueError):
    """A scenario with a mistake: `file` and `line` (if it came from one), `key` (`timeline[3].who`), what was found, what is `allowed`."""

    def __init__(self, problem: str, *, path: Path = (), allowed: str = "", file: str | None = None, line: int | None = None) -> None:
        self.problem = problem
        self.path = path
        self.allowed = allowed
        self.file = file
        self.line = line
        super().__init__(problem)

    @property
    def key(self) -> str:
        """The place inside the document as a person writes it: `people[0].name`."""
        return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in self.path).lstrip(".")

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line) if part is not None)
        text = ": ".join(part for part in (place, self.key, self.problem) if part)
        return f"{text} (allowed: {self.allowed})" if self.allowed else text


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the meeting. `user_id` is below 2**31; `channel_id` is the contact center's name of a party's audio."""

    user_id: int
    name: str
    role: str = "participant"
    language: int = ENGLISH
    channel_id: str | None = None
    phone_number: str | None = None


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happens at `at_s`; `who` is a user_id; `data` holds the fields that `KINDS[kind]` names."""

    at_s: float
    kind: str
    who: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScenarioField:
    """One field of an action: its type, whether it must be there, its default and what is allowed, in words."""

    type: type
    says: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ActionKind:
    """What an action means, whether it needs a person, and its fields."""

    says: str
    who: bool
    fields: Mapping[str, ScenarioField] = field(default_factory=dict)


_STOP_REASON = "Zoom's stop reason, 0 to 26"

KINDS: dict[str, ActionKind] = {
    "join": ActionKind("somebody enters; written for everybody who has none, at 0", who=True),
    "leave": ActionKind("somebody leaves", who=True),
    "speak": ActionKind(
        "somebody says `text` from at_s to `until_s`: audio, transcript and active speaker",
        who=True,
        fields={
            "until_s": ScenarioField(float, "seconds, after at_s", required=True),
            "text": ScenarioField(str, "what is said; empty is speech that no transcript shows", default=""),
            "language": ScenarioField(int, "a language name; default: the person's"),
        },
    ),
    "video_on": ActionKind("a camera goes on", who=True),
    "video_off": ActionKind("a camera goes off", who=True),
    "share_start": ActionKind(
        "somebody shares a screen; an earlier share ends",
        who=True,
        fields={"title": ScenarioField(str, "what the slides are headed", default="")},
    ),
    "share_stop": ActionKind("the share of `who` ends", who=True),
    "chat": ActionKind(
        "a chat message, or a change to an earlier one",
        who=True,
        fields={
            "text": ScenarioField(str, "the message", default=""),
            "to": ScenarioField(str, "`everyone`, `hosts` or a person's name", default="everyone"),
            "operation": ScenarioField(str, "what is done", default="new", choices=CHAT_OPERATIONS),
            "id": ScenarioField(str, "a name for this message that later actions refer to", default=""),
            "reply_to": ScenarioField(str, "the id of an earlier message", default=""),
            "emoji": ScenarioField(str, "for add_emoji and remove_emoji", default=""),
            "files": ScenarioField(list, "names of attached files", default=()),
        },
    ),
    "call_event": ActionKind(
        "a contact-center event such as CONSUMER_ANSWERED or USER_HOLD",
        who=True,
        fields={"event": ScenarioField(str, "a name of the contact-center enumeration, such as USER_HOLD", required=True)},
    ),
    "stop": ActionKind(
        "the RTMS stream stops, the meeting goes on", who=False, fields={"stop_reason": ScenarioField(int, _STOP_REASON, default=1)}
    ),
    "reallow": ActionKind("the app is allowed again: a new stream of the same meeting starts", who=False),
    "pause": ActionKind("the stream is paused", who=False),
    "resume": ActionKind("the stream goes on", who=False),
    "eject": ActionKind("the host removes somebody", who=True),
    "end": ActionKind(
        "the meeting ends; written at duration_s if absent", who=False, fields={"stop_reason": ScenarioField(int, _STOP_REASON, default=6)}
    ),
    "fail_over": ActionKind("the RTMS server dies: a second rtms_started with new server_urls", who=False),
    "drop_signaling": ActionKind("the signaling socket breaks: rtms_interrupted, 60 s to come back", who=False),
    "drop_media": ActionKind(
        "one media socket breaks: event 7, 65 s to come back",
        who=False,
        fields={"media": ScenarioField(str, "which", default="audio", choices=MEDIA_KINDS)},
    ),
    "fault": ActionKind(
        "a fault, as `rtmskit faults list` writes it, from at_s on",
        who=False,
        fields={"fault": ScenarioField(str, "such as `zoom.stream: drop-media video`", required=True)},
    ),
}
"""Everything that can stand in a timeline. The loader, the checks and the page in docs/ are made from this table."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Somebody speaks from `start_ms` to `end_ms`."""

    start_ms: int
    end_ms: int
    who: Person
    text: str
    language: int


@dataclass(frozen=True, slots=True)
class Span:
    """Somebody is there, on camera or sharing from `start_ms` until `end_ms`; `title` only when sharing."""

    start_ms: int
    end_ms: int
    who: Person
    title: str = ""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scripted meeting. Raises ScenarioError when its parts contradict each other.

    The timeline is kept sorted by time and completed: everybody joins (at 0 unless written) and the meeting ends (at `duration_s`
    unless written; a written end becomes `duration_s`). `meetings` copies run at once, each with its own seed (`each`); `apps` streams
    of one meeting go to as many apps.
    """

    name: str
    people: tuple[Person, ...]
    timeline: tuple[Action, ...]
    duration_s: float
    seed: int = 0
    product: Product = "meeting"
    summary: str = ""
    meetings: int = 1
    apps: int = 1

    def __post_init__(self) -> None:
        _check(self)
        late = _latecomers(self.timeline)
        arrivals = tuple(Action(0.0, "join", person.user_id) for person in self.people if person.user_id not in late)
        ends = tuple(action for action in self.timeline if action.kind == "end") or (Action(self.duration_s, "end"),)
        others = tuple(action for action in self.timeline if action.kind != "end")
        whole = sorted((_completed(action) for action in arrivals + others + ends), key=_moment)
        object.__setattr__(self, "timeline", tuple(whole))
        object.__setattr__(self, "duration_s", ends[0].at_s)

    @property
    def duration_ms(self) -> int:
        return to_ms(self.duration_s)

    def person(self, user_id: int) -> Person:
        """Raises KeyError for somebody who is not in it."""
        for person in self.people:
            if person.user_id == user_id:
                return person
        raise KeyError(user_id)

    def each(self) -> tuple[Scenario, ...]:
        """The single meetings of this scenario: itself, or `meetings` copies with names `name/1`… and seeds counted up."""
        if self.meetings == 1:
            return (self,)
        return tuple(replace(self, name=f"{self.name}/{n + 1}", seed=self.seed + n, meetings=1) for n in range(self.meetings))

    def utterances(self) -> tuple[Utterance, ...]:
        """The script: who says what when, by start."""
        people = {person.user_id: person for person in self.people}
        return tuple(
            Utterance(
                to_ms(action.at_s),
                min(to_ms(action.data["until_s"]), self.duration_ms),
                people[action.who],
                action.data["text"],
                people[action.who].language if action.data.get("language") is None else action.data["language"],
            )
            for action in self.timeline
            if action.kind == "speak" and action.who is not None
        )

    def presence(self) -> tuple[Span, ...]:
        """Who is in the meeting from when to when."""
        return self._spans("join", ("leave", "eject"))

    def cameras(self) -> tuple[Span, ...]:
        """Whose camera is on from when to when."""
        return self._spans("video_on", ("video_off", "leave", "eject"))

    def shares(self) -> tuple[Span, ...]:
        """Who shares a screen from when to when; one at a time."""
        return self._spans("share_start", ("share_stop", "leave", "eject"), alone=True)

    def speakers(self) -> tuple[tuple[int, Person], ...]:
        """The active speaker's timeline: (ms, who) at each change. Whoever began last is the active one."""
        changes: list[tuple[int, Person]] = []
        for utterance in self.utterances():
            if not changes or changes[-1][1] is not utterance.who:
                changes.append((utterance.start_ms, utterance.who))
        return tuple(changes)

    def _spans(self, on: str, off: tuple[str, ...], *, alone: bool = False) -> tuple[Span, ...]:
        people = {person.user_id: person for person in self.people}
        since: dict[int, Action] = {}
        spans: list[Span] = []

        def close(user_id: int, at_s: float) -> None:
            began = since.pop(user_id)
            spans.append(Span(to_ms(began.at_s), to_ms(at_s), people[user_id], began.data.get("title", "")))

        for action in self.timeline:
            if action.kind == on and action.who is not None:
                if alone:
                    for user_id in list(since):
                        close(user_id, action.at_s)
                since.setdefault(action.who, action)
            elif action.kind in off and action.who in since:
                close(action.who, action.at_s)
        for user_id in list(since):
            close(user_id, self.duration_s)
        return tuple(sorted((span for span in spans if span.end_ms > span.start_ms), key=lambda span: (span.start_ms, span.who.user_id)))


def to_ms(seconds: float) -> int:
    return round(seconds * 1000)


def _check(scenario: Scenario) -> None:
    """Raise ScenarioError, with the path as in a TOML file, for the first thing that cannot be."""
    if scenario.product not in PRODUCTS:
        raise ScenarioError(f"unknown product {scenario.product!r}", path=("product",), allowed=", ".join(PRODUCTS))
    if not (math.isfinite(scenario.duration_s) and 0 < scenario.duration_s <= LONGEST_S):
        raise ScenarioError(
            f"{scenario.duration_s} is not a duration", path=("duration_s",), allowed=f"seconds, above 0, at most {LONGEST_S}"
        )
    for name in ("meetings", "apps"):
        if not 1 <= getattr(scenario, name) <= 2000:
            raise ScenarioError(f"found {getattr(scenario, name)}", path=(name,), allowed="1 to 2000")
    _check_people(scenario.people)
    _check_timeline(scenario)


def _check_people(people: tuple[Person, ...]) -> None:
    if not people:
        raise ScenarioError("nobody is there", path=("people",), allowed="at least one person")
    for index, person in enumerate(people):
        if not person.name.strip():
            raise ScenarioError("empty name", path=("people", index, "name"), allowed="a name")
        if not 0 < person.user_id <= MAX_USER_ID:
            raise ScenarioError(
                f"found {person.user_id}", path=("people", index, "user_id"), allowed=f"1 to {MAX_USER_ID}, Zoom's client drops others"
            )
        if person.role not in ROLES:
            raise ScenarioError(f"unknown role {person.role!r}", path=("people", index, "role"), allowed=", ".join(ROLES))
        if person.language not in LANGUAGES.values():
            raise ScenarioError(f"unknown language {person.language!r}", path=("people", index, "language"), allowed=", ".join(LANGUAGES))
        for earlier in people[:index]:
            for key in ("name", "user_id"):
                if getattr(earlier, key) == getattr(person, key):
                    raise ScenarioError(f"{getattr(person, key)!r} is there twice", path=("people", index, key), allowed="each only once")


def _moment(action: Action) -> tuple[float, bool, bool]:
    """The order of a timeline: by time; at one moment joins come first and the end last."""
    return action.at_s, action.kind != "join", action.kind == "end"


def _latecomers(timeline: tuple[Action, ...]) -> set[int | None]:
    """Who is not there from the beginning: the first thing they do about being there is to join."""
    first: dict[int | None, str] = {}
    for action in sorted(timeline, key=_moment):
        if action.kind in ("join", "leave", "eject"):
            first.setdefault(action.who, action.kind)
    return {who for who, kind in first.items() if kind == "join"}


def _check_timeline(scenario: Scenario) -> None:
    late = _latecomers(scenario.timeline)
    present = {person.user_id: person.user_id not in late for person in scenario.people}
    names = {person.user_id: person.name for person in scenario.people}
    busy_until = dict.fromkeys(present, 0.0)
    messages: set[str] = set()
    ended = math.inf
    for index, action in sorted(enumerate(scenario.timeline), key=lambda pair: _moment(pair[1])):
        here: Path = ("timeline", index)
        if action.at_s > ended:
            raise ScenarioError("the meeting is over by then", path=(*here, "at_s"), allowed=f"up to its end at {ended:g}")
        _check_action(scenario, action, here)
        if action.kind == "end":
            if ended <= action.at_s:
                raise ScenarioError("a second end", path=(*here, "kind"), allowed="one end")
            ended = action.at_s
            if max(busy_until.values()) > ended:
                raise ScenarioError(
                    "ends in the middle of a sentence", path=(*here, "at_s"), allowed=f"{max(busy_until.values()):g} or later"
                )
        who = action.who
        if who is None:
            continue
        if (action.kind == "join") == present[who]:
            here_or_not, allowed = ("already", "somebody who is not there") if present[who] else ("not", "somebody who has joined")
            raise ScenarioError(
                f"{names[who]!r} is {here_or_not} in the meeting at {action.at_s:g} s", path=(*here, "who"), allowed=allowed
            )
        if action.kind in ("join", "leave", "eject"):
            present[who] = action.kind == "join"
        if action.kind in ("leave", "eject") and busy_until[who] > action.at_s:
            raise ScenarioError("leaves in the middle of a sentence", path=(*here, "at_s"), allowed=f"{busy_until[who]:g} or later")
        if action.kind == "speak":
            if busy_until[who] > action.at_s:
                raise ScenarioError("still speaking then", path=(*here, "at_s"), allowed=f"{busy_until[who]:g} or later")
            busy_until[who] = action.data["until_s"]
        if action.kind == "chat":
            _check_chat(action, here, tuple(names.values()), messages)


def _check_chat(action: Action, here: Path, names: tuple[str, ...], messages: set[str]) -> None:
    """`messages` are the ids so far; the message's own is added."""
    data = action.data
    receivers = ("everyone", "hosts", *names)
    if data.get("to", "everyone") not in receivers:
        raise ScenarioError(f"found {data['to']!r}", path=(*here, "to"), allowed=", ".join(receivers))
    if data.get("reply_to") and data["reply_to"] not in messages:
        raise ScenarioError(
            f"no earlier message {data['reply_to']!r}",
            path=(*here, "reply_to"),
            allowed=f"an earlier id: {', '.join(sorted(messages)) or 'none'}",
        )
    if not all(isinstance(name, str) and name for name in data.get("files", ())):
        raise ScenarioError(f"found {data['files']!r}", path=(*here, "files"), allowed="names of files")
    if data.get("id"):
        messages.add(data["id"])


def _check_action(scenario: Scenario, action: Action, here: Path) -> None:
    kind = KINDS.get(action.kind)
    if kind is None:
        raise ScenarioError(f"unknown kind {action.kind!r}", path=(*here, "kind"), allowed=", ".join(KINDS))
    if not 0 <= action.at_s <= scenario.duration_s:
        raise ScenarioError(f"found {action.at_s}", path=(*here, "at_s"), allowed=f"0 to duration_s ({scenario.duration_s:g})")
    if action.kind == "end" and action.at_s == 0:
        raise ScenarioError("ends before it began", path=(*here, "at_s"), allowed="above 0")
    if kind.who and all(person.user_id != action.who for person in scenario.people):
        raise ScenarioError(f"nobody with user_id {action.who!r}", path=(*here, "who"), allowed="one of the people")
    if not kind.who and action.who is not None:
        raise ScenarioError(f"a {action.kind} is nobody's in particular", path=(*here, "who"), allowed="none")
    for name in action.data:
        if name not in kind.fields:
            raise ScenarioError(f"a {action.kind} has no such key", path=(*here, name), allowed=", ".join(kind.fields) or "none")
    for name, fact in kind.fields.items():
        value = action.data.get(name)
        if value is None and fact.required:
            raise ScenarioError("missing", path=(*here, name), allowed=fact.says)
        if value is not None and fact.choices and value not in fact.choices:
            raise ScenarioError(f"found {value!r}", path=(*here, name), allowed=", ".join(fact.choices))
    if action.kind == "speak":
        if not action.at_s < action.data["until_s"] <= scenario.duration_s:
            raise ScenarioError(
                f"found {action.data['until_s']}",
                path=(*here, "until_s"),
                allowed=f"after {action.at_s:g}, up to duration_s ({scenario.duration_s:g})",
            )
        if action.data.get("language") is not None and action.data["language"] not in LANGUAGES.values():
            raise ScenarioError(f"unknown language {action.data['language']!r}", path=(*here, "language"), allowed=", ".join(LANGUAGES))
    if action.kind == "fault":
        try:
            fault = parse_fault(action.data["fault"])
        except FaultError as error:
            raise ScenarioError(str(error), path=(*here, "fault")) from None
        if fault.family is STREAM and (len(fault.steps) > 1 or fault.steps[0].number("at")):
            raise ScenarioError("at_s says when", path=(*here, "fault"), allowed="one step, without at=")
    if action.kind == "call_event":
        # Imported here, as the package rtms_simulator.zoom itself builds on scenarios.
        from rtms_simulator.zoom.rtms.enums import ContactCenterEventType

        events = ContactCenterEventType.__members__
        if action.data["event"] not in events:
            raise ScenarioError(f"found {action.data['event']!r}", path=(*here, "event"), allowed=", ".join(events))
        if scenario.product != "contact_center":
            raise ScenarioError(
                "its numbers mean something else in other products", path=(*here, "kind"), allowed="only in a contact_center"
            )
    if "stop_reason" in kind.fields and action.data.get("stop_reason", 0) not in STOP_REASONS:
        raise ScenarioError(f"found {action.data['stop_reason']}", path=(*here, "stop_reason"), allowed="0 to 26")


def _completed(action: Action) -> Action:
    fields = KINDS[action.kind].fields
    missing = {name: fact.default for name, fact in fields.items() if fact.default is not None and name not in action.data}
    return replace(action, data=missing | dict(action.data)) if missing else action


# --- the library and TOML files -------------------------------------------------------------------------------------------------------

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
}
_TYPE_NAMES: dict[type, str] = {str: "a text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


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
    values: dict[str, Any] = {"name": name} | top | {"people": tuple(people), "timeline": timeline}
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
    own = {
        key: replace(fact, type=str, choices=tuple(LANGUAGES)) if key == "language" else fact for key, fact in KINDS[kind].fields.items()
    }
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
    for key, fact in keys.items():
        if key not in row:
            if fact.required:
                raise ScenarioError("missing", path=(*here, key), allowed=", ".join(fact.choices) or fact.says)
            if fact.default is not None:
                values[key] = fact.default
            continue
        value = row[key]
        if fact.type is float and type(value) is int:
            value = float(value)
        if type(value) is not fact.type:
            raise ScenarioError(
                f"found {value!r}", path=(*here, key), allowed=f"{_TYPE_NAMES[fact.type]}: {', '.join(fact.choices) or fact.says}"
            )
        if fact.choices and value not in fact.choices:
            raise ScenarioError(f"found {value!r}", path=(*here, key), allowed=", ".join(fact.choices))
        values[key] = value
    return values
