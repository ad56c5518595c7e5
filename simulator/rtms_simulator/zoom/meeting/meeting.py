"""One scripted meeting taking place: its streams, what happens when, and the report of it.

A meeting walks through its scenario's timeline and has every live stream of it do what `ACTIONS` says. It never waits for webhooks.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, ClassVar, Protocol

from rtms_simulator.clock import Clock
from rtms_simulator.faults import Fault, FaultBook, Step, parse_fault
from rtms_simulator.faults.zoom import FAMILIES, STREAM
from rtms_simulator.scenario.model import Action, Person, Scenario, to_ms
from rtms_simulator.zoom.app import KINDS, ZoomApp
from rtms_simulator.zoom.meeting.report import MeetingReport, StreamReport
from rtms_simulator.zoom.meeting.timeline import MeetingTimeline, Speed
from rtms_simulator.zoom.rtms.enums import MEDIA_KEYS, ContactCenterEventType, EventType, MediaType, StopReason, StreamState
from rtms_simulator.zoom.rtms.protocol import StreamProtocol
from rtms_simulator.zoom.rtms.states import ProtocolEffect, RtmsSwitches, SendWebhook, StreamIdentity
from rtms_simulator.zoom.rtms.stream import LiveStream, MediaPackets, MeetingContext
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.sender import Delivery, EventSubscription


class MeetingServices(Protocol):
    """What a meeting needs of the Zoom it takes place in."""

    clock: Clock
    switches: RtmsSwitches
    faults: FaultBook

    def open_stream(self, stream: LiveStream, paths: str) -> None:
        """Make a stream reachable under `paths` and by its id."""
        ...

    def close_path(self, paths: str) -> None:
        """A server died: its paths answer no more."""
        ...

    def url(self, paths: str) -> str: ...

    async def deliver(self, event: events.WebhookEvent, endpoint: EventSubscription, faults: FaultBook) -> Delivery: ...


@dataclass(frozen=True, slots=True)
class MeetingPlan:
    """How to hold a meeting."""

    scenario: Scenario
    source: MediaPackets
    apps: tuple[tuple[ZoomApp, EventSubscription], ...]
    speed: Speed = 1.0
    faults: tuple[Fault, ...] = ()
    payloads: events.PayloadSwitches = events.AS_DOCUMENTED
    linger: bool = False
    """Whether the meeting goes on to its scripted end when no stream is left, so that Zoom's REST call can start another."""


@dataclass(slots=True)
class AppStream:
    """One app's stream in a meeting, over all its servers."""

    live: LiveStream
    app: ZoomApp
    endpoint: EventSubscription
    ids: events.StreamIds
    paths: str
    server_urls: list[str]


class Meeting:
    """A meeting that takes place. `start` begins it, `finished` waits for its end, `act` does something unscripted."""

    def __init__(self, number: int, plan: MeetingPlan, place: MeetingServices, random: Random) -> None:
        scenario = plan.scenario
        self.id = number
        self.scenario = scenario
        self.plan = plan
        self.entity_id = _uuid(random) if scenario.product in ("meeting", "webinar", "session") else _hex(random, 32)
        self.meeting_id = str(random.randrange(10**10, 10**11))
        self.streams: list[AppStream] = []
        self.deliveries: list[Delivery] = []
        self.started_at = place.clock.now()
        self.ended_at: float | None = None
        self._place = place
        self._random = random
        self._history: list[tuple[int, str]] = []
        self._last_ts = int(self.started_at * 1000) - 1
        self._present: dict[int, Person] = {}
        self._speaker: Person | None = None
        self._sharer: Person | None = None
        self.faults = FaultBook(FAMILIES)
        """Faults of this meeting's own deliveries and handshakes."""
        self._from_the_start: list[Step] = []
        self._actions = self._arm_first(_with_faults(scenario, plan.faults))
        self._reallows_left = sum(action.kind == "reallow" for action in self._actions)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._run: asyncio.Task[None] | None = None
        self._timeline = MeetingTimeline(place.clock, plan.speed, attended=self._attended)
        self._shared = MeetingContext(
            place.clock, self._timeline, plan.source, int(self.started_at * 1000), self._timeline.moved, self._tell_what_is_true
        )

    def start(self) -> None:
        """Begin: rtms_started goes out, or that no stream may start."""
        limited = next((step for step in self._from_the_start if step.word == "concurrency-limited"), None)
        if limited is None:
            self._open_streams()
        else:
            self._limited(int(limited.number("limit")))
        self._run = asyncio.create_task(self._take_place())

    async def finished(self) -> MeetingReport:
        """Return when the meeting is over and every first delivery has been tried."""
        assert self._run is not None
        await asyncio.shield(self._run)
        await self.announced()
        return self.report()

    async def announced(self) -> None:
        """Return when every event so far has been tried once, unless a fault holds it back."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def act(self, action: Action) -> None:
        """Do something now, whatever the scenario says. Raises KeyError for a kind that `ACTIONS` does not have."""
        await self.ACTIONS[action.kind](self, action)

    async def aclose(self) -> None:
        """Break it off without a word to anybody."""
        tasks = [*self._tasks, *([self._run] if self._run else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for stream in self.streams:
            await stream.live.aclose()

    def report(self) -> MeetingReport:
        """What has taken place so far."""
        return MeetingReport(
            self.id,
            self.scenario.name,
            self.scenario.product,
            self.entity_id,
            self.meeting_id,
            self.scenario.seed,
            self.plan.speed,
            int(self.started_at * 1000),
            self._offset(self.ended_at),
            tuple(self._stream_report(stream) for stream in self.streams),
            tuple(self.deliveries),
            tuple(self._history),
        )

    def _stream_report(self, stream: AppStream) -> StreamReport:
        live, protocol = stream.live, stream.live.protocol
        return StreamReport(
            protocol.identity.stream_id,
            stream.app.client_id,
            tuple(stream.server_urls),
            protocol.state.name,
            self._offset(live.joined_at),
            self._offset(live.ended_at),
            None if protocol.stop_reason is None else int(protocol.stop_reason),
            live.keep_alives,
            len(live.complaints),
            {kind: {"packets": sent.packets, "bytes": sent.size, "sha256": sent.sha256} for kind, sent in live.sent.items()},
            live.problem,
        )

    def _offset(self, when: float | None) -> int | None:
        return None if when is None else round((when - self.started_at) * 1000)

    # The course of it

    def _arm_first(self, actions: tuple[Action, ...]) -> tuple[Action, ...]:
        """What is to go wrong from the very beginning cannot wait for a reader, who may never come because of it."""
        later: list[Action] = []
        for action in actions:
            fault = parse_fault(action.data["fault"]) if action.kind == "fault" and action.at_s == 0 else None
            if fault is None or (fault.family is STREAM and fault.steps[0].word not in _FROM_THE_START):
                later.append(action)
            elif fault.family is STREAM:
                self._from_the_start.extend(fault.steps)
            else:
                self._arm(fault)
        return tuple(later)

    def _arm(self, fault: Fault) -> None:
        """One of Zoom's acts on this meeting alone, one of another vendor on what comes by first."""
        (self.faults if fault.family.vendor == "zoom" else self._place.faults).add(fault)

    async def _take_place(self) -> None:
        for action in self._actions if self.streams else ():
            if not await self._timeline.act_at(to_ms(action.at_s), over=self._over):
                break
            await self.act(action)
        for stream in self._living():
            stream.live.act(stream.live.protocol.stop(StopReason.STOP_BC_MEETING_ENDED, self._place.clock.now()))
        self.ended_at = self._place.clock.now()
        self._note("meeting over")

    def _limited(self, limit: int) -> None:
        for app, endpoint in self.plan.apps:
            ids = self._ids()
            event = events.concurrency_limited(self.scenario.product, ids, limit, self._event_ts())
            self._note(f"concurrency limited for {app.client_id}")
            self._send(event, endpoint)

    def _over(self) -> bool:
        return not self._living() and self._reallows_left == 0 and not self.plan.linger

    def _attended(self) -> bool:
        return all(stream.live.attended for stream in self.streams)

    def _living(self) -> list[AppStream]:
        return [stream for stream in self.streams if stream.live.protocol.state is not StreamState.TERMINATED]

    def _ids(self) -> events.StreamIds:
        return events.StreamIds(self.entity_id, _hex(self._random, 32), meeting_id=self.meeting_id)

    def _open_streams(self) -> None:
        for app, endpoint in self.plan.apps:
            ids = self._ids()
            paths = f"/rtms/{_hex(self._random, 16)}"
            url = self._place.url(paths)
            protocol = StreamProtocol(
                StreamIdentity(ids.stream_id, self.entity_id, app.client_id, app.client_secret, app.kinds),
                session_id=_hex(self._random, 32),
                media_urls=_media_urls(url),
                now=self._place.clock.now(),
                switches=self._place.switches,
            )
            live = LiveStream(protocol, self._shared, partial(self._announce, ids, endpoint), self.faults)
            for step in self._from_the_start:
                if step.word == "slow-close":
                    live.slow_close_s = step.number("seconds")
            stream = AppStream(live, app, endpoint, ids, paths, [url])
            self.streams.append(stream)
            self._place.open_stream(live, paths)
            self._note(f"stream {ids.stream_id} started")
            self._send(self._started(ids, url), endpoint)

    # What streams announce

    def _announce(self, ids: events.StreamIds, endpoint: EventSubscription, announcement: SendWebhook) -> None:
        product = self.scenario.product
        match announcement.what:
            case "started":
                event = self._started(ids, announcement.fields["server_urls"])
            case "stopped":
                event = events.stopped(product, ids, announcement.fields["stop_reason"], self._event_ts())
            case "interrupted":
                known = next(stream.server_urls[-1] for stream in self.streams if stream.ids is ids)
                urls = known if self.plan.payloads.interrupted_urls else None
                event = events.interrupted(product, ids, self._event_ts(), server_urls=urls)
        detail = f" with reason {announcement.fields['stop_reason']}" if "stop_reason" in announcement.fields else ""
        self._note(f"stream {ids.stream_id} {announcement.what}{detail}")
        self._send(event, endpoint)

    def _started(self, ids: events.StreamIds, url: str) -> events.WebhookEvent:
        payloads = self.plan.payloads
        urls = f"{url},{url}/second" if payloads.several_urls else url
        return events.started(self.scenario.product, ids, urls, self._event_ts(), form=payloads.form)

    def _event_ts(self) -> int:
        """When it happened, in milliseconds of the clock; never the same twice in one meeting. The first is the meeting's start."""
        first = self._last_ts < self._shared.epoch_ms
        self._last_ts = self._shared.epoch_ms if first else max(self._place.clock.now_ms(), self._last_ts + 1)
        return self._last_ts

    def _send(self, event: events.WebhookEvent, endpoint: EventSubscription) -> None:
        self._spawn(self._deliver(event, endpoint))

    async def _deliver(self, event: events.WebhookEvent, endpoint: EventSubscription) -> None:
        self.deliveries.append(await self._place.deliver(event, endpoint, self.faults))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _note(self, what: str) -> None:
        self._history.append((round((self._place.clock.now() - self.started_at) * 1000), what))

    # Actions

    def _each(self, effects: Callable[[StreamProtocol, float], list[ProtocolEffect]]) -> None:
        now = self._place.clock.now()
        for stream in self._living():
            stream.live.act(effects(stream.live.protocol, now))

    def _event(self, event_type: int, at_s: float, fields: Mapping[str, Any]) -> None:
        timestamp = self._shared.epoch_ms + to_ms(at_s)
        self._each(lambda protocol, _now: protocol.event(event_type, timestamp, fields))

    def _who(self, action: Action) -> Person:
        assert action.who is not None
        return self.scenario.person(action.who)

    async def _join(self, action: Action) -> None:
        person = self._who(action)
        self._present[person.user_id] = person
        self._event(EventType.PARTICIPANT_JOIN, action.at_s, _people([person]))

    async def _leave(self, action: Action) -> None:
        person = self._who(action)
        self._present.pop(person.user_id, None)
        self._event(EventType.PARTICIPANT_LEAVE, action.at_s, {"participants": [{"user_id": person.user_id}]})

    async def _eject(self, action: Action) -> None:
        """Whose app it is, is taken to be the first of the people; ejecting that one ends the stream. Inferred from stop reason 4."""
        await self._leave(action)
        await self._settled()
        if action.who == self.scenario.people[0].user_id:
            self._each(lambda protocol, now: protocol.stop(StopReason.STOP_BC_USER_EJECTED, now))

    async def _speak(self, action: Action) -> None:
        person = self._who(action)
        if person != self._speaker:
            self._speaker = person
            self._event(EventType.ACTIVE_SPEAKER_CHANGE, action.at_s, _named(person))

    async def _video(self, action: Action) -> None:
        if self.scenario.product == "contact_center":
            return  # 8 and 9 mean something else there
        event_type = EventType.PARTICIPANT_VIDEO_ON if action.kind == "video_on" else EventType.PARTICIPANT_VIDEO_OFF
        self._event(event_type, action.at_s, {"participants": [{"user_id": self._who(action).user_id}]})

    async def _share(self, action: Action) -> None:
        sharing = action.kind == "share_start"
        self._sharer = self._who(action) if sharing else None
        fields = _named(self._who(action)) if sharing else {}
        event_type = EventType.SHARING_START if sharing else EventType.SHARING_STOP
        timestamp = self._shared.epoch_ms + to_ms(action.at_s)
        for stream in self._living():
            if "deskshare" in stream.app.scopes:
                stream.live.act(stream.live.protocol.event(event_type, timestamp, fields))

    async def _call_event(self, action: Action) -> None:
        person = self._who(action)
        at_ms = self._shared.epoch_ms + to_ms(action.at_s)
        info = {
            "channel_id": person.channel_id,
            "phone_number": person.phone_number,
            "user_id": person.user_id,
            "display_name": person.name,
        }
        fields = {"event_ts": at_ms, "participant_info": {key: value for key, value in info.items() if value is not None}}
        self._event(ContactCenterEventType[action.data["event"]], action.at_s, fields)

    async def _nothing(self, action: Action) -> None:
        """Seen in the media only."""

    async def _stop(self, action: Action) -> None:
        await self._settled()
        reason = int(action.data.get("stop_reason", StopReason.STOP_BC_HOST_TRIGGERED))
        self._each(lambda protocol, now: protocol.stop(reason, now))

    async def _end(self, action: Action) -> None:
        """At any speed the last words are read before the sockets close: clients stop reading at the first TERMINATED."""
        for stream in self._living():
            await stream.live.caught_up(patience_s=1.0)
        reason = int(action.data.get("stop_reason", StopReason.STOP_BC_MEETING_ENDED))
        self._reallows_left = 0
        self._each(lambda protocol, now: protocol.stop(reason, now))

    async def _reallow(self, action: Action) -> None:
        self._reallows_left = max(0, self._reallows_left - 1)
        self._open_streams()

    async def _pause(self, action: Action) -> None:
        self._each(StreamProtocol.pause)

    async def _resume(self, action: Action) -> None:
        self._each(StreamProtocol.resume)

    async def _settled(self) -> None:
        """At `max` nothing but the readers moves time, so an end or a break waits until they have read what came before it."""
        if self.plan.speed == "max":
            for stream in self._living():
                await stream.live.caught_up()

    async def _drop_signaling(self, action: Action) -> None:
        await self._settled()
        self._note("signaling dropped")
        self._each(StreamProtocol.drop_signaling)

    async def _drop_media(self, action: Action) -> None:
        await self._settled()
        media = str(action.data.get("media", "audio"))
        kinds = MediaType(sum(MEDIA_KEYS)) if media == "all" else KINDS[media]
        self._note(f"{media} socket dropped")
        self._each(lambda protocol, now: protocol.drop_media(kinds, now))

    async def _fail_over(self, action: Action) -> None:
        await self._settled()
        for stream in self._living():
            self._place.close_path(stream.paths)
            stream.paths = f"/rtms/{_hex(self._random, 16)}"
            url = self._place.url(stream.paths)
            stream.server_urls.append(url)
            self._place.open_stream(stream.live, stream.paths)
            self._note(f"stream {stream.ids.stream_id} failed over")
            stream.live.act(stream.live.protocol.fail_over(url, _media_urls(url), self._place.clock.now()))

    async def _silence(self, action: Action) -> None:
        for stream in self._living():
            stream.live.protocol.silent = True

    async def _fault(self, action: Action) -> None:
        """A fault of a stream acts at once; one of a delivery or a handshake waits for its moment."""
        fault = parse_fault(action.data["fault"])
        if fault.family is not STREAM:
            self._arm(fault)
            return
        for step in fault.steps:
            kind = step.word.replace("-", "_")
            if kind in self.ACTIONS:
                await self.act(Action(action.at_s, kind, data={"media": step.text("media")} if "media" in step.settings else {}))
            elif step.word == "slow-close":
                for stream in self._living():
                    stream.live.slow_close_s = step.number("seconds")

    def _tell_what_is_true(self, live: LiveStream, event_types: tuple[int, ...]) -> None:
        """Inferred (`RtmsSwitches.roster_on_subscription`): a subscription is answered with who is there, who speaks and who shares."""
        now_ms = self._shared.epoch_ms + self._timeline.position_ms
        if EventType.PARTICIPANT_JOIN in event_types and self._present:
            live.act(live.protocol.event(EventType.PARTICIPANT_JOIN, now_ms, _people(self._present.values())))
        if EventType.ACTIVE_SPEAKER_CHANGE in event_types and self._speaker is not None:
            live.act(live.protocol.event(EventType.ACTIVE_SPEAKER_CHANGE, now_ms, _named(self._speaker)))
        if EventType.SHARING_START in event_types and self._sharer is not None:
            live.act(live.protocol.event(EventType.SHARING_START, now_ms, _named(self._sharer)))

    ACTIONS: ClassVar[Mapping[str, Callable[[Meeting, Action], Awaitable[None]]]] = {
        "join": _join,
        "leave": _leave,
        "speak": _speak,
        "video_on": _video,
        "video_off": _video,
        "share_start": _share,
        "share_stop": _share,
        "chat": _nothing,
        "call_event": _call_event,
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
    """What a meeting does for each kind of action: the kinds of a scenario, and keep_alive_silence, which is a fault."""


def _people(people: Iterable[Person]) -> dict[str, Any]:
    return {"participants": [_named(person) for person in people]}


def _named(person: Person) -> dict[str, Any]:
    return {"user_id": person.user_id, "user_name": person.name}


def _media_urls(url: str) -> dict[str, str]:
    return {key: f"{url}/{key}" for key in (*MEDIA_KEYS.values(), "all")}


_FROM_THE_START = ("concurrency-limited", "slow-close")
"""Steps of a stream that act on the whole meeting, whatever their moment says."""


def _with_faults(scenario: Scenario, faults: Iterable[Fault]) -> tuple[Action, ...]:
    """The scenario's timeline with the faults that the meeting was given."""
    extra: list[Action] = []
    for fault in faults:
        for single in (replace(fault, steps=(step,)) for step in fault.steps) if fault.family is STREAM else (fault,):
            step = single.steps[0]
            at_s = step.number("at") if single.family is STREAM and step.word not in _FROM_THE_START else 0.0
            extra.append(Action(at_s, "fault", data={"fault": str(single)}))
    return tuple(sorted((*scenario.timeline, *extra), key=lambda action: (action.at_s, action.kind == "end")))


def _hex(random: Random, digits: int) -> str:
    return f"{random.getrandbits(digits * 4):0{digits}x}"


def _uuid(random: Random) -> str:
    """Like Zoom's: 16 bytes in base64, which may hold `/`, `+` and ends in `==`."""
    return b64encode(random.randbytes(16)).decode()
