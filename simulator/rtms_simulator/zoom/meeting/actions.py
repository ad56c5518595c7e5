"""What a meeting does for each kind of action: the kinds of a scenario, and keep_alive_silence, which is a fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from rtms_simulator.faults import Fault, parse_fault
from rtms_simulator.faults.zoom import STREAM
from rtms_simulator.scenario import Action, Person, Scenario, to_ms
from rtms_simulator.zoom.meeting.app_stream import AppStream
from rtms_simulator.zoom.meeting.roster import MeetingRoster, StreamEvent
from rtms_simulator.zoom.meeting.stream_faults import WaitingStep, can_act, kinds_of
from rtms_simulator.zoom.rtms.enums import StopReason
from rtms_simulator.zoom.rtms.protocol import StreamProtocol
from rtms_simulator.zoom.rtms.states import ProtocolEffect


class ActingMeeting(Protocol):
    """What an action needs of its meeting; `Meeting` says what each does."""

    scenario: Scenario
    roster: MeetingRoster

    def at_ms(self, action: Action) -> int: ...
    def send_events(self, stream_events: Iterable[StreamEvent]) -> None: ...
    def participant_event(self, person: Person, *, joined: bool) -> None: ...
    async def settled(self) -> None: ...
    def each(self, effects: Callable[[StreamProtocol, float], list[ProtocolEffect]]) -> None: ...
    def living(self) -> list[AppStream]: ...
    def open_streams(self) -> None: ...
    def reallowed(self) -> None: ...
    def no_more_streams(self) -> None: ...
    def move_servers(self, stream: AppStream) -> None: ...
    def arm(self, fault: Fault) -> None: ...
    def note(self, what: str) -> None: ...
    def postpone(self, waiting: WaitingStep) -> None: ...


MeetingAction = Callable[[ActingMeeting, Action], Awaitable[None]]


async def act(meeting: ActingMeeting, action: Action) -> None:
    """Do it now. Raises KeyError for a kind that `ACTIONS` does not have or a person who is not in the scenario."""
    await ACTIONS[action.kind](meeting, action)


async def _tell(meeting: ActingMeeting, action: Action) -> None:
    """Nothing but events on the streams, and what is seen in the media."""
    meeting.send_events(meeting.roster.changed(action, meeting.at_ms(action)))


async def _join_or_leave(meeting: ActingMeeting, action: Action) -> None:
    await _tell(meeting, action)
    if action.who is not None:
        meeting.participant_event(meeting.scenario.person(action.who), joined=action.kind == "join")


async def _eject(meeting: ActingMeeting, action: Action) -> None:
    """The app's owner is taken to be the first of the people; ejecting that one ends the stream. Inferred from stop reason 4."""
    await _join_or_leave(meeting, action)
    await meeting.settled()
    if action.who == meeting.scenario.people[0].user_id:
        meeting.each(lambda protocol, now: protocol.stop(StopReason.STOP_BC_USER_EJECTED, now))


async def _stop(meeting: ActingMeeting, action: Action) -> None:
    await meeting.settled()
    reason = int(action.data.get("stop_reason", StopReason.STOP_BC_HOST_TRIGGERED))
    meeting.each(lambda protocol, now: protocol.stop(reason, now))


async def _end(meeting: ActingMeeting, action: Action) -> None:
    """The last words are read before the sockets close: clients stop reading at the first TERMINATED."""
    await meeting.settled()
    meeting.no_more_streams()
    reason = int(action.data.get("stop_reason", StopReason.STOP_BC_MEETING_ENDED))
    meeting.each(lambda protocol, now: protocol.stop(reason, now))


async def _reallow(meeting: ActingMeeting, action: Action) -> None:
    meeting.reallowed()
    meeting.open_streams()


async def _pause(meeting: ActingMeeting, action: Action) -> None:
    for stream in meeting.living():
        stream.live.pause(to_ms(action.at_s))


async def _resume(meeting: ActingMeeting, action: Action) -> None:
    for stream in meeting.living():
        stream.live.resume(to_ms(action.at_s))


async def _drop_signaling(meeting: ActingMeeting, action: Action) -> None:
    await meeting.settled()
    meeting.note("signaling dropped")
    meeting.each(StreamProtocol.drop_signaling)


async def _drop_media(meeting: ActingMeeting, action: Action) -> None:
    await meeting.settled()
    media = str(action.data.get("media", "audio"))
    kinds = kinds_of(media)
    meeting.note(f"{media} socket dropped")
    meeting.each(lambda protocol, now: protocol.drop_media(kinds, now))


async def _fail_over(meeting: ActingMeeting, action: Action) -> None:
    await meeting.settled()
    for stream in meeting.living():
        meeting.move_servers(stream)


async def _silence(meeting: ActingMeeting, action: Action) -> None:
    for stream in meeting.living():
        stream.live.protocol.silent = True


async def _fault(meeting: ActingMeeting, action: Action) -> None:
    """A fault of a stream acts at once, or as soon as there is a socket to break; one of a delivery or a handshake waits for its moment."""
    fault = parse_fault(action.data["fault"])
    if fault.family is not STREAM:
        meeting.arm(fault)
        return
    for step in fault.steps:
        kind = step.word.replace("-", "_")
        if kind in ACTIONS:
            inner = Action(action.at_s, kind, data={"media": step.text("media")} if "media" in step.settings else {})
            if can_act(step, [stream.live for stream in meeting.living()]):
                await act(meeting, inner)
            else:
                meeting.postpone(WaitingStep(fault, step, inner))
        elif step.word == "slow-close":
            for stream in meeting.living():
                stream.live.slow_close_s = step.number("seconds")


ACTIONS: Mapping[str, MeetingAction] = {
    "join": _join_or_leave,
    "leave": _join_or_leave,
    "speak": _tell,
    "video_on": _tell,
    "video_off": _tell,
    "share_start": _tell,
    "share_stop": _tell,
    "chat": _tell,
    "chat_group": _tell,
    "call_event": _tell,
    "stop": _stop,
    "reallow": _reallow,
    "pause": _pause,
    "resume": _resume,
    "eject": _eject,
    "end": _end,
    "fail_over": _fail_over,
    "drop_signaling": _drop_signaling,
    "drop_media": _drop_media,
    "keep_alive_silence": _silence,
    "fault": _fault,
}
