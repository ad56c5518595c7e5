"""Who was there, what they did, and who spoke when: three files in the form of Recall's downloads (docs/evidence/recall.md B7).

Speech is taken from Zoom's active-speaker changes: RTMS has no other word for it [inf].
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtms_simulator.recall.recorder.output import Output
from rtms_simulator.recall.recorder.spill import Spill
from rtms_simulator.recall.recorder.timeline import RecordingTime
from rtms_simulator.recall.recorder.values import Participant, ParticipantEvent
from rtms_simulator.recall.rtms.actions import ParticipantNotice

MIXED = 0  # the user_id of the mixed audio: nobody


class Roster:
    """Everybody the stream named, by Zoom's user_id, with the name given last."""

    def __init__(self) -> None:
        self._people: dict[int, Participant] = {}

    def meet(self, user_id: int, name: str | None) -> Participant:
        """The participant of that id, noted if new or renamed."""
        participant = self._people.get(user_id)
        if participant is None or (name is not None and participant.name != name):
            participant = self._people[user_id] = Participant(user_id, name)
        return participant

    def people(self) -> list[Participant]:
        """Everybody, in the order they were first named."""
        return list(self._people.values())


FILES = ("participant_events", "speaker_timeline", "participants")


class ParticipantEvents:
    """Writes the three files (unless `directory` is None) and reports each event, also when writing failed."""

    def __init__(self, directory: Path | None, timeline: RecordingTime, roster: Roster, report: Callable[[ParticipantEvent], None]) -> None:
        self.outputs = {name: Output(directory / f"{name}.json", Spill) for name in FILES} if directory else {}
        self._timeline = timeline
        self._roster = roster
        self._report = report
        self._speaker: tuple[Participant, int] | None = None
        self._sharer: Participant | None = None
        self._count = 0

    def add(self, happening: ParticipantNotice) -> None:
        """Take one event of the stream."""
        who = self._roster.meet(happening.user_id, happening.user_name) if happening.user_id else None
        moment = happening.timestamp_ms
        if happening.what == "active_speaker":
            self._speaks(who, moment)
            return
        if happening.what == "screenshare_on":
            self._sharer = who
        elif happening.what == "screenshare_off":
            who, self._sharer = who or self._sharer, None
        if who is not None:
            if happening.what == "leave" and self._is_speaking(who):
                self._stop_speaking(moment)
            self._note(happening.what, who, moment)

    def _speaks(self, who: Participant | None, moment: int) -> None:
        """Somebody, or nobody, speaks from now on."""
        if who is not None and self._is_speaking(who):
            return
        self._stop_speaking(moment)
        if who is not None:
            self._speaker = (who, moment)
            self._note("speech_on", who, moment)

    def _is_speaking(self, who: Participant) -> bool:
        return self._speaker is not None and self._speaker[0].id == who.id

    def close(self, end_ms: int) -> None:
        """The recording ends, and with it every speech that still goes on; complete the files."""
        self._end_turn(end_ms)
        for place, person in enumerate(self._roster.people()):
            self._write("participants", place, person.as_json())
        for output in self.outputs.values():
            output.close()

    @property
    def sub_code(self) -> str | None:
        """Why the artifact failed; the three files are one artifact."""
        return next((output.sub_code for output in self.outputs.values() if output.sub_code), None)

    def _write(self, name: str, key: int, item: dict[str, Any]) -> None:
        if name in self.outputs:
            self.outputs[name].attempt(lambda spill: spill.add(key, item))

    def _stop_speaking(self, moment: int) -> None:
        if self._speaker is not None:
            who = self._speaker[0]
            self._end_turn(moment)
            self._note("speech_off", who, moment)

    def _end_turn(self, moment: int) -> None:
        if self._speaker is None:
            return
        who, since = self._speaker
        self._speaker = None
        start, end = self._timeline.json(since), self._timeline.json(max(since, moment))
        self._write("speaker_timeline", since, {"participant": who.as_json(), "start_timestamp": start, "end_timestamp": end})

    def _note(self, action: str, who: Participant, moment: int) -> None:
        self._report(ParticipantEvent(action, who, self._timeline.within(moment) / 1000, self._timeline.relative(moment)))
        self._count += 1
        item = {
            "id": str(self._count),
            "action": action,
            "participant": who.as_json(),
            "timestamp": self._timeline.json(moment),
            "data": None,
        }
        self._write("participant_events", moment, item)
