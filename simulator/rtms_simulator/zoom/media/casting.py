"""A scenario with the speech of a person's own files instead of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

from rtms_simulator.scenario import FIRST_USER_ID, KINDS, Action, Person, Scenario, ScenarioError
from rtms_simulator.zoom.media.recording import MediaFile
from rtms_simulator.zoom.media.transcripts.cue import Cue
from rtms_simulator.zoom.media.transcripts.names import same_person

_OVERRULED = {"join", "leave", "eject", "speak", "video_on", "video_off", "end"}


def cast(scenario: Scenario, recording: MediaFile | None, cues: tuple[Cue, ...]) -> Scenario:
    """The scenario with the speech of the files instead of its own.

    It lasts as long as the files. The speakers of the transcript are there from start to end with cameras on, a person of the same
    name keeps their user_id and language; a cue without a speaker is said by who spoke before (inferred: such files name a speaker
    where it changes), or else by the first person, who also says what a recording without a transcript lets hear. A film without
    sound is silent. What the scenario does otherwise (stop, fail_over, faults, shares and chat of people who are still there) stays if
    its time is within the new duration.
    """
    duration_ms = max(recording.duration_ms if recording else 0, max((cue.end_ms for cue in cues), default=0))
    people, by_name = _people(scenario, cues)
    if not cues and recording is not None and recording.has_audio:
        cues = (Cue(0, duration_ms, None, ""),)
    speech = _speech(cues, people, by_name)
    actions = tuple(
        action for action in _without(people, scenario.timeline) if action.kind not in _OVERRULED and action.at_s * 1000 <= duration_ms
    )
    # A phone or contact-center call has no pictures, whatever the file holds.
    on_camera = people if scenario.product in KINDS["video_on"].products else ()
    cameras = tuple(Action(0.0, "video_on", person.user_id) for person in on_camera)
    try:
        return replace(scenario, people=people, timeline=(*cameras, *speech, *actions), duration_s=duration_ms / 1000)
    except ScenarioError as error:
        raise ScenarioError(f"the files do not fit the scenario: {error.problem}", path=error.path, allowed=error.allowed) from None


def _people(scenario: Scenario, cues: tuple[Cue, ...]) -> tuple[tuple[Person, ...], dict[str, Person]]:
    """(who is there, the speakers by `same_person`)."""
    known = {same_person(person.name): person for person in scenario.people}
    names: dict[str, str] = {}
    for cue in cues:
        if cue.speaker is not None:
            names.setdefault(same_person(cue.speaker), cue.speaker)
    taken = {person.user_id for person in scenario.people}
    free = (user_id for user_id in itertools.count(FIRST_USER_ID, 1024) if user_id not in taken)
    by_name = {key: known.get(key) or Person(next(free), name) for key, name in names.items()}
    return tuple(by_name.values()) or scenario.people, by_name


def _speech(cues: tuple[Cue, ...], people: tuple[Person, ...], by_name: dict[str, Person]) -> tuple[Action, ...]:
    """Nobody speaks over themselves: a cue begins when the one before ends, and one inside another adds its words to it."""
    spoken: dict[int, list[tuple[Cue, list[str]]]] = {person.user_id: [] for person in people}
    speaker = people[0]
    for cue in cues:
        speaker = speaker if cue.speaker is None else by_name[same_person(cue.speaker)]
        own = spoken[speaker.user_id]
        busy_ms = own[-1][0].end_ms if own else 0
        if busy_ms < cue.end_ms:
            own.append((replace(cue, start_ms=max(cue.start_ms, busy_ms)), [cue.text]))
        else:
            own[-1][1].append(cue.text)
    return tuple(
        Action(cue.start_ms / 1000, "speak", user_id, {"until_s": cue.end_ms / 1000, "text": " ".join(texts)})
        for user_id, own in spoken.items()
        for cue, texts in own
    )


def _without(people: tuple[Person, ...], timeline: tuple[Action, ...]) -> Iterator[Action]:
    """What does not need anybody who is not among the people: nobody acts who is away, is written to, answered, or in a chat group."""
    ids = {person.user_id for person in people}
    names = {person.name for person in people}
    messages, groups = {""}, set[str]()
    for action in timeline:
        if action.who is not None and action.who not in ids:
            continue
        if action.kind == "chat":
            if action.data["to"] in {"everyone", "hosts"} | names | groups and action.data["reply_to"] in messages:
                messages.add(action.data["id"])
                yield action
        elif action.kind == "chat_group":
            yield from _of_group(action, names, groups)
        else:
            yield action


def _of_group(action: Action, names: set[str], groups: set[str]) -> Iterator[Action]:
    """The same for those of its members who are there, if there are any; `groups` are those that exist, and follow."""
    group, operation = action.data["group"], action.data["operation"]
    members = [name for name in action.data["members"] if name in names]
    if operation == "create":
        possible = bool(members) and group not in names
    else:
        possible = group in groups and (operation == "delete" or bool(members))
    if possible:
        (groups.discard if operation == "delete" else groups.add)(group)
        yield replace(action, data={**action.data, "members": members})
