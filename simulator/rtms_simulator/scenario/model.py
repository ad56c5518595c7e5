"""A scripted meeting: who is there, who says and does what when, and what goes wrong.

A `Scenario` is plain data and the only truth about a meeting: its webhooks, its media and every expectation of a test are computed
from it, so one scenario and one seed give the same bytes. All times are seconds from the start of the meeting.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rtms_simulator.scenario.actions import KINDS, Action, Outcome, Person, Product, latecomers, moment
from rtms_simulator.scenario.checks import check


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
    of one meeting go to as many apps. `auto_start` False: no stream starts by itself, only by `reallow` or Zoom's REST call.
    `meeting_events`: the plain events sent as well (`MEETING_EVENTS`). `custom_fields`: of a contact center's started webhook.
    `switches`: values by name (`zoom.close_code`), set in the fakes when it is played; they stay until a reset. `outcome`: its right end.
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
    auto_start: bool = True
    meeting_events: tuple[str, ...] = ()
    custom_fields: Mapping[str, Any] = field(default_factory=dict)
    switches: Mapping[str, Any] = field(default_factory=dict)
    outcome: Outcome = "recorded"

    def __post_init__(self) -> None:
        check(self)
        late = latecomers(self.timeline)
        arrivals = tuple(Action(0.0, "join", person.user_id) for person in self.people if person.user_id not in late)
        ends = tuple(action for action in self.timeline if action.kind == "end") or (Action(self.duration_s, "end"),)
        others = tuple(action for action in self.timeline if action.kind != "end")
        completed = sorted((_completed(action) for action in arrivals + others + ends), key=moment)
        object.__setattr__(self, "timeline", tuple(completed))
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
        """The active speaker's timeline: (ms, who) at each change. The person who began last is the active one."""
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


def _completed(action: Action) -> Action:
    fields = KINDS[action.kind].fields
    missing = {name: fact.default for name, fact in fields.items() if fact.default is not None and name not in action.data}
    return replace(action, data=missing | dict(action.data)) if missing else action
