"""What a scenario is made of, as tables: people, actions, and every kind of action with its fields and its check.

`KINDS` is the table that the loader, the checks and docs/scenarios.md are made from. All times are seconds from the start of the meeting.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from rtms_simulator.errors import ScenarioError
from rtms_simulator.faults import FaultError, parse_fault
from rtms_simulator.faults.zoom import STREAM
from rtms_simulator.scenario.call_events import CALL_EVENTS
from rtms_simulator.scenario.languages import ENGLISH, LANGUAGES
from rtms_simulator.scenario.toml_lines import Path

Product = Literal["meeting", "webinar", "session", "contact_center", "phone"]
PRODUCTS: tuple[str, ...] = get_args(Product)
Outcome = Literal["recorded", "deleted", "not-joined"]
OUTCOMES: tuple[str, ...] = get_args(Outcome)
"""The right end of a meeting: its recording is whole; it was joined, and what was recorded is deleted; nobody joins a stream of it."""
WITH_PICTURES: tuple[str, ...] = ("meeting", "webinar", "session")
"""Contact Center and Phone carry audio and transcripts only."""
WITH_CHAT_GROUPS: tuple[str, ...] = ("meeting", "webinar")
ROLES = ("host", "participant", "panelist", "attendee", "consumer", "agent", "supervisor")
MAX_USER_ID = 2**31 - 1
"""Zoom's own client drops participants and packets with a larger one (seen on the wire)."""
STOP_REASONS = range(27)
LONGEST_S = 18 * 3600
"""The time code in the pictures counts a little further than this."""
MEDIA_KINDS = ("audio", "video", "deskshare", "transcript", "chat", "all")
CHAT_OPERATIONS = ("new", "delete", "update", "add_emoji", "remove_emoji")
CHAT_GROUP_OPERATIONS = ("create", "delete", "add", "remove", "status")
CHAT_MEMBER_STATUSES = ("in_group", "breakout_room", "waiting_room", "backstage", "left")
"""In the order of Zoom's numbers, 0 to 4."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the meeting. `user_id` is below 2**31; `channel_id` is the contact center's name of a party's audio.

    `contact_id` to `division_id` are the contact center's (`participant_info`). `invited`: on the meeting's invite list, which Zoom asks
    of the person who starts RTMS over its REST API.
    """

    user_id: int
    name: str
    role: str = "participant"
    language: int = ENGLISH
    channel_id: str | None = None
    phone_number: str | None = None
    contact_id: str | None = None
    participant_mode: str | None = None
    queue_id: str | None = None
    queue_name: str | None = None
    account_id: str | None = None
    division_id: str | None = None
    invited: bool = True


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happens at `at_s`; `who` is a user_id; `data` holds the fields that `KINDS[kind]` names."""

    at_s: float
    kind: str
    who: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class ActionContext:
    """What the check of an action may look at: the scenario around it, and what earlier actions named."""

    product: str
    duration_s: float
    names: tuple[str, ...]
    messages: set[str] = field(default_factory=set)
    """Ids of chat messages so far."""
    groups: set[str] = field(default_factory=set)
    """Ids of chat groups that exist now."""
    complete: bool = True
    """Whether every earlier action could be read; if not, nothing is said of names that one of them may have made."""


UNREAD_KIND = ""
UNREAD = Person(0, "")
"""In the place of an action or a person that could not be read, so that the others keep their places."""

ActionCheck = Callable[[Action, ActionContext, Path], None]
"""Raises ScenarioError. The path is the action's own."""


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
    """What an action means, whether it needs a person, its fields, the products that have it, and its own check."""

    says: str
    who: bool
    fields: Mapping[str, ScenarioField] = field(default_factory=dict)
    products: tuple[str, ...] = PRODUCTS
    check: ActionCheck | None = None


# The checks of single kinds


def _check_speech(action: Action, context: ActionContext, here: Path) -> None:
    until_s, language = action.data["until_s"], action.data.get("language")
    if not action.at_s < until_s <= context.duration_s:
        allowed = f"after {action.at_s:g}, up to duration_s ({context.duration_s:g})"
        raise ScenarioError(f"found {until_s}", path=(*here, "until_s"), allowed=allowed)
    if language is not None and language not in LANGUAGES.values():
        raise ScenarioError(f"unknown language {language!r}", path=(*here, "language"), allowed=", ".join(LANGUAGES))


def _check_fault(action: Action, context: ActionContext, here: Path) -> None:
    try:
        fault = parse_fault(action.data["fault"])
    except FaultError as error:
        raise ScenarioError(str(error), path=(*here, "fault")) from None
    if fault.family is STREAM and (len(fault.steps) > 1 or fault.steps[0].number("at")):
        raise ScenarioError("at_s says when", path=(*here, "fault"), allowed="one step, without at=")


def _check_call_event(action: Action, context: ActionContext, here: Path) -> None:
    events = CALL_EVENTS[context.product]
    if action.data["event"] not in events:
        raise ScenarioError(f"found {action.data['event']!r}", path=(*here, "event"), allowed=", ".join(events))
    check_json(action.data.get("fields") or {}, (*here, "fields"))


def check_json(value: object, here: Path) -> None:
    """Raises ScenarioError for a value that JSON does not have, as TOML's dates."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_json(item, (*here, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            check_json(item, (*here, index))
    elif not isinstance(value, (str, int, float)) or (isinstance(value, float) and not math.isfinite(value)):
        raise ScenarioError(f"found {value}", path=here, allowed="text, numbers, true, false, lists and tables")


def _check_stop_reason(action: Action, context: ActionContext, here: Path) -> None:
    if action.data.get("stop_reason", 0) not in STOP_REASONS:
        raise ScenarioError(f"found {action.data['stop_reason']}", path=(*here, "stop_reason"), allowed="0 to 26")


def _check_end(action: Action, context: ActionContext, here: Path) -> None:
    if action.at_s == 0:
        raise ScenarioError("ends before it began", path=(*here, "at_s"), allowed="above 0")
    _check_stop_reason(action, context, here)


def _check_chat(action: Action, context: ActionContext, here: Path) -> None:
    data = action.data
    if not all(isinstance(name, str) and name for name in data.get("files", ())):
        raise ScenarioError(f"found {data['files']!r}", path=(*here, "files"), allowed="names of files")
    if context.complete:
        _check_chat_names(data, context, here)
    if data.get("id"):
        context.messages.add(data["id"])


def _check_chat_names(data: Mapping[str, Any], context: ActionContext, here: Path) -> None:
    receivers = ("everyone", "hosts", *context.names, *sorted(context.groups))
    if data.get("to", "everyone") not in receivers:
        raise ScenarioError(f"found {data['to']!r}", path=(*here, "to"), allowed=", ".join(receivers))
    if data.get("reply_to") and data["reply_to"] not in context.messages:
        allowed = f"an earlier id: {', '.join(sorted(context.messages)) or 'none'}"
        raise ScenarioError(f"no earlier message {data['reply_to']!r}", path=(*here, "reply_to"), allowed=allowed)
    if data.get("cc_hosts") and data.get("to") not in context.names:
        raise ScenarioError("only a message to one person has a copy for the hosts", path=(*here, "cc_hosts"), allowed="to = a person")


def _check_chat_group(action: Action, context: ActionContext, here: Path) -> None:
    group, operation = action.data["group"], action.data["operation"]
    if operation == "create":
        if group in ("everyone", "hosts", *context.names, *context.groups):
            raise ScenarioError(f"{group!r} is taken", path=(*here, "group"), allowed="the id of no group or person")
    elif context.complete and group not in context.groups:
        allowed = f"a group that exists: {', '.join(sorted(context.groups)) or 'none'}"
        raise ScenarioError(f"no group {group!r}", path=(*here, "group"), allowed=allowed)
    _check_members(action.data.get("members", ()), context, here, at_least=0 if operation == "delete" else 1)
    (context.groups.discard if operation == "delete" else context.groups.add)(group)


def _check_members(members: Sequence[object], context: ActionContext, here: Path, at_least: int) -> None:
    strangers = context.complete and not all(member in context.names for member in members)
    if strangers or len(members) < at_least:
        raise ScenarioError(f"found {members!r}", path=(*here, "members"), allowed=f"names out of {', '.join(context.names)}")


_STOP_REASON = ScenarioField(int, "Zoom's stop reason, 0 to 26", default=1)
_END_REASON = ScenarioField(int, "Zoom's stop reason, 0 to 26", default=6)

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
        check=_check_speech,
    ),
    "video_on": ActionKind("a camera goes on", who=True, products=WITH_PICTURES),
    "video_off": ActionKind("a camera goes off", who=True, products=WITH_PICTURES),
    "share_start": ActionKind(
        "somebody shares a screen; an earlier share ends",
        who=True,
        fields={"title": ScenarioField(str, "what the slides are headed", default="")},
        products=WITH_PICTURES,
    ),
    "share_stop": ActionKind("the share of `who` ends", who=True, products=WITH_PICTURES),
    "chat": ActionKind(
        "a chat message, or a change to an earlier one",
        who=True,
        fields={
            "text": ScenarioField(str, "the message", default=""),
            "to": ScenarioField(str, "`everyone`, `hosts`, a person's name or a chat group", default="everyone"),
            "operation": ScenarioField(str, "what is done", default="new", choices=CHAT_OPERATIONS),
            "id": ScenarioField(str, "a name for this message that later actions refer to", default=""),
            "reply_to": ScenarioField(str, "the id of an earlier message", default=""),
            "emoji": ScenarioField(str, "for add_emoji and remove_emoji", default=""),
            "files": ScenarioField(list, "names of attached files", default=()),
            "cc_hosts": ScenarioField(bool, "whether hosts and panelists get a copy of a message to one person", default=False),
        },
        products=WITH_PICTURES,
        check=_check_chat,
    ),
    "chat_group": ActionKind(
        "a private chat group is made, changed or deleted: events 10 to 14",
        who=True,
        fields={
            "operation": ScenarioField(str, "what is done", required=True, choices=CHAT_GROUP_OPERATIONS),
            "group": ScenarioField(str, "a name for the group that later actions refer to", required=True),
            "members": ScenarioField(list, "names of people; not for delete", default=()),
            "status": ScenarioField(str, "for status: where the members are", default="in_group", choices=CHAT_MEMBER_STATUSES),
        },
        products=WITH_CHAT_GROUPS,
        check=_check_chat_group,
    ),
    "call_event": ActionKind(
        "an event of a call: of Contact Center such as USER_HOLD, or of Zoom Phone (CALL_HOLD, CALL_RESUME, CALL_TRANSFER)",
        who=True,
        fields={
            "event": ScenarioField(str, "a name of the product's enumeration, such as USER_HOLD", required=True),
            "fields": ScenarioField(dict, "further fields of the event, as they are sent"),
        },
        products=tuple(CALL_EVENTS),
        check=_check_call_event,
    ),
    "stop": ActionKind(
        "the RTMS stream stops, the meeting goes on", who=False, fields={"stop_reason": _STOP_REASON}, check=_check_stop_reason
    ),
    "reallow": ActionKind("the app is allowed again: a new stream of the same meeting starts", who=False),
    "pause": ActionKind("the stream is paused", who=False),
    "resume": ActionKind("the stream goes on", who=False),
    "eject": ActionKind("the host removes somebody", who=True),
    "end": ActionKind(
        "the meeting ends; written at duration_s if absent", who=False, fields={"stop_reason": _END_REASON}, check=_check_end
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
        fields={
            "fault": ScenarioField(str, "such as `zoom.stream: drop-media video`", required=True),
        },
        check=_check_fault,
    ),
}
"""Everything that can stand in a timeline. The loader, the checks and the page in docs/ are made from this table."""


def moment(action: Action) -> tuple[float, bool, bool]:
    """The order of a timeline: by time; at one moment joins come first and the end last."""
    return action.at_s, action.kind != "join", action.kind == "end"


def latecomers(timeline: tuple[Action, ...]) -> set[int | None]:
    """Who is not there from the beginning: the first thing they do about being there is to join."""
    first: dict[int | None, str] = {}
    for action in sorted(timeline, key=moment):
        if action.kind in ("join", "leave", "eject"):
            first.setdefault(action.who, action.kind)
    return {who for who, kind in first.items() if kind == "join"}
