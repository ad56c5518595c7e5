"""One scripted meeting: its streams, its webhooks, its course through the scenario's timeline, and the report of it.

What each action does is `actions.ACTIONS`; who is there and speaks is the `MeetingRoster`. A meeting never waits for webhooks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Protocol

from rtms_simulator.clock import Clock
from rtms_simulator.faults import Fault, FaultBook, Step, parse_fault
from rtms_simulator.faults.zoom import FAMILIES, STREAM
from rtms_simulator.scenario import Action, Person, Scenario, to_ms
from rtms_simulator.serving.background import BackgroundTasks
from rtms_simulator.zoom.app import ZoomApp
from rtms_simulator.zoom.meeting import ids
from rtms_simulator.zoom.meeting.actions import act
from rtms_simulator.zoom.meeting.app_stream import AppStream
from rtms_simulator.zoom.meeting.report import MeetingReport, StreamReport
from rtms_simulator.zoom.meeting.roster import MeetingRoster, StreamEvent
from rtms_simulator.zoom.meeting.stream_faults import WaitingStep, can_act, idle_faults
from rtms_simulator.zoom.meeting.timeline import MeetingTimeline, Speed
from rtms_simulator.zoom.rtms.enums import MEDIA_KEYS, MediaType, StopReason, StreamState
from rtms_simulator.zoom.rtms.protocol import StreamProtocol
from rtms_simulator.zoom.rtms.states import EVERY_KIND, ProtocolEffect, SendWebhook, StreamIdentity
from rtms_simulator.zoom.rtms.stream import LiveStream, MediaPackets, MeetingContext
from rtms_simulator.zoom.switches import DOCUMENTED, ZoomSwitches
from rtms_simulator.zoom.webhooks import events, meeting_events
from rtms_simulator.zoom.webhooks.sender import Delivery, EventSubscription

KINDS_OF_CALLS = MediaType.AUDIO | MediaType.TRANSCRIPT
"""Contact Center and Phone have no other media (documented)."""
_PRODUCT_KINDS = {"contact_center": KINDS_OF_CALLS, "phone": KINDS_OF_CALLS}
CATCH_UP_S = 2.0
"""How long an end or a break waits for readers to read what came before it, in real seconds."""


class MeetingServices(Protocol):
    """What a meeting needs of the Zoom it takes place in."""

    clock: Clock
    faults: FaultBook

    def open_stream(self, stream: LiveStream, paths: str) -> None:
        """Make a stream reachable under `paths` and by its id."""
        ...

    def close_path(self, paths: str) -> None:
        """A server died: its paths answer no more."""
        ...

    def url(self, paths: str) -> str: ...

    def next_event_ts(self, at_ms: int) -> int:
        """`at_ms`, or the first millisecond after it that no event has."""
        ...

    def over(self, meeting: Meeting) -> None:
        """The meeting has ended: its streams can be forgotten."""
        ...

    async def deliver(self, event: events.WebhookEvent, endpoint: EventSubscription, faults: FaultBook) -> Delivery: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MeetingPlan:
    """How to hold a meeting."""

    scenario: Scenario
    source: MediaPackets
    apps: tuple[tuple[ZoomApp, EventSubscription], ...]
    speed: Speed = 1.0
    faults: tuple[Fault, ...] = ()
    switches: ZoomSwitches = DOCUMENTED
    linger: bool = False
    """Whether the meeting goes on to its scripted end when no stream is left, so that Zoom's REST call can start another."""


class Meeting:
    """A meeting that takes place. `start` begins it, `finished` waits for its end, `act` does something unscripted."""

    def __init__(self, number: int, plan: MeetingPlan, services: MeetingServices, random: Random) -> None:
        scenario = plan.scenario
        self.id = number
        self.scenario = scenario
        self.plan = plan
        self.services = services
        self.entity_id = ids.entity_id(random, scenario.product)
        self.meeting_id = ids.meeting_number(random)
        self.streams: list[AppStream] = []
        self.deliveries: list[Delivery] = []
        self.started_at = services.clock.now()
        self.ended_at: float | None = None
        self.epoch_ms = services.next_event_ts(int(self.started_at * 1000))
        """The event_ts of its first event, and what all media timestamps count from."""
        self.faults = FaultBook(FAMILIES)
        """Faults of this meeting's own deliveries and handshakes."""
        self.roster = MeetingRoster(scenario, plan.switches, self._stream_ids("").account_id)
        self.timeline = MeetingTimeline(services.clock, plan.speed, attended=self._attended)
        self._random = random
        self._history: list[tuple[int, str]] = []
        self._first_event = True
        self._from_the_start: list[Step] = []
        self._waiting: list[WaitingStep] = []
        self._actions = self._arm_first(_with_faults(scenario, plan.faults))
        self._acted = 0
        self._reallows_left = sum(action.kind == "reallow" for action in self._actions)
        self._facts = meeting_events.MeetingFacts(
            scenario.product, self._stream_ids(""), scenario.name, -(-scenario.duration_ms // 60_000), self.epoch_ms
        )
        self._tasks = BackgroundTasks()
        self._run: asyncio.Task[None] | None = None
        self._context = MeetingContext(
            clock=services.clock,
            timeline=self.timeline,
            source=plan.source,
            epoch_ms=self.epoch_ms,
            changed=self._changed,
            subscribed=self._tell_what_is_true,
        )

    # From outside

    def start(self) -> None:
        """Begin: the plain events, then rtms_started for each app, or that no stream may start."""
        self._send_plain(partial(meeting_events.began, self._facts))
        limited = next((step for step in self._from_the_start if step.word == "concurrency-limited"), None)
        if limited is not None:
            self._limited(int(limited.number("limit")))
        elif self.scenario.auto_start:
            self.open_streams()
        self._run = asyncio.create_task(self._take_place(may_start_later=limited is None and not self.scenario.auto_start))

    async def finished(self) -> MeetingReport:
        """Return when the meeting is over and every first delivery has been tried."""
        assert self._run is not None
        await asyncio.shield(self._run)
        await self.announced()
        return self.report()

    async def announced(self) -> None:
        """Return when every event so far has been tried once, unless a fault holds it back."""
        await self._tasks.idle()

    async def act(self, action: Action) -> None:
        """Do something now, whatever the scenario and `action.at_s` say. Raises KeyError for a kind that `ACTIONS` does not have."""
        await act(self, replace(action, at_s=self.timeline.position_ms / 1000))

    @property
    def unattended(self) -> bool:
        """Whether it goes on, its app is allowed to join, and nobody has, nor is connected."""
        living = [stream.live for stream in self.living()]
        return (
            self.ended_at is None and bool(living) and not any(live.joined_at is not None or live.protocol.connections for live in living)
        )

    def go_on_alone(self) -> None:
        """Nobody will join: from now on it does not wait for a reader, at any speed."""
        self.timeline.go_on_alone()

    async def end(self) -> MeetingReport:
        """The host ends it now, whatever the scenario says: its streams stop, and the webhooks say so."""
        await self.act(Action(0.0, "end"))
        return await self.finished()

    async def aclose(self) -> None:
        """Break it off without a word to anybody."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)
        if self.ended_at is None:
            self.ended_at = self.services.clock.now()
            self.note("meeting broken off")
            self.services.over(self)
        await self._tasks.aclose()
        for stream in self.streams:
            await stream.live.aclose()

    def report(self) -> MeetingReport:
        """What has taken place so far."""
        return MeetingReport(
            id=self.id,
            scenario=self.scenario.name,
            product=self.scenario.product,
            entity_id=self.entity_id,
            meeting_id=self.meeting_id,
            seed=self.scenario.seed,
            speed=self.plan.speed,
            started_ms=self.epoch_ms,
            ended_ms=self._offset(self.ended_at),
            streams=tuple(self._stream_report(stream) for stream in self.streams),
            deliveries=tuple(self.deliveries),
            timeline=tuple(self._history),
            idle_faults=self._idle_faults(),
        )

    def _stream_report(self, stream: AppStream) -> StreamReport:
        live, protocol = stream.live, stream.live.protocol
        sent = {kind: {"packets": sent.packets, "bytes": sent.size, "sha256": sent.sha256} for kind, sent in live.sent.items()}
        return StreamReport(
            stream_id=protocol.identity.stream_id,
            client_id=stream.app.client_id,
            server_urls=tuple(stream.server_urls),
            state=protocol.state.name,
            joined_ms=self._offset(live.joined_at),
            ended_ms=self._offset(live.ended_at),
            stop_reason=None if protocol.stop_reason is None else int(protocol.stop_reason),
            keep_alives=live.keep_alives,
            complaints=len(live.violations),
            sent=sent,
            problem=live.problem,
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
                self.arm(fault)
        return tuple(later)

    def postpone(self, waiting: WaitingStep) -> None:
        """Do it as soon as a stream has what it breaks."""
        self._waiting.append(waiting)

    def _changed(self) -> None:
        self.timeline.moved()
        streams = [stream.live for stream in self.living()]
        for one in [one for one in self._waiting if can_act(one.step, streams)]:
            self._waiting.remove(one)
            self._tasks.start(act(self, one.action))

    def _idle_faults(self) -> tuple[str, ...]:
        """Of a meeting that is over, the faults that changed nothing: those that it was given, and those of its script."""
        if self.ended_at is None:
            return ()
        streams = [stream.live for stream in self.streams]
        # Where nobody is to join, that nobody tried is a right end, too: the faults that keep clients out have nothing to act on.
        scripted = [
            parse_fault(action.data["fault"])
            for action in self.scenario.timeline
            if action.kind == "fault" and self.scenario.outcome != "not-joined"
        ]
        return idle_faults([*self.plan.faults, *scripted], self.faults.listed(), self._waiting, streams, self._actions[self._acted :])

    def arm(self, fault: Fault) -> None:
        """A fault of Zoom acts on this meeting only, a fault of another vendor on the first request that matches."""
        (self.faults if fault.family.vendor == "zoom" else self.services.faults).add(fault)

    async def _take_place(self, *, may_start_later: bool) -> None:
        if may_start_later:
            self._tasks.start(self._begin_without_streams())
        for action in self._actions if self.streams or may_start_later else ():
            over = self._never if may_start_later else self._over
            if not await self.timeline.act_at(to_ms(action.at_s), over=over):
                break
            self._acted += 1
            await act(self, action)
        self.timeline.open_gate()
        self.each(lambda protocol, now: protocol.stop(StopReason.STOP_BC_MEETING_ENDED, now))
        self.ended_at = self.services.clock.now()
        self.note("meeting over")
        self._send_plain(partial(meeting_events.ended, self._facts, self.now_ms()))
        self.services.over(self)

    async def _begin_without_streams(self) -> None:
        """At other speeds than 1 a meeting waits for its first reader; one whose streams start by hand waits no longer than they may."""
        if self.plan.speed != 1:
            await self.services.clock.sleep(self.plan.switches.connect_window_s)
        self.timeline.begin()

    def _limited(self, limit: int) -> None:
        for app, endpoint in self.plan.apps:
            stream_ids = self._stream_ids(ids.hex_id(self._random, 32))
            event = events.concurrency_limited(self.scenario.product, stream_ids, limit, self._event_ts())
            self.note(f"concurrency limited for {app.client_id}")
            self._send(event, endpoint)

    def _over(self) -> bool:
        return not self.living() and self._reallows_left == 0 and not self.plan.linger

    def _never(self) -> bool:
        return False

    def _attended(self) -> bool:
        return all(stream.live.attended for stream in self.streams)

    def living(self) -> list[AppStream]:
        """The streams that have not ended."""
        return [stream for stream in self.streams if stream.live.protocol.state is not StreamState.TERMINATED]

    async def settled(self) -> None:
        """Wait until every reader has read what came before, so that an end or a break loses nothing that was sent."""
        patience_s = CATCH_UP_S * max(1.0, self.services.clock.rate)
        await asyncio.gather(*(stream.live.caught_up(patience_s) for stream in self.living()))

    # Streams

    def _stream_ids(self, stream_id: str) -> events.StreamIds:
        return events.StreamIds(self.entity_id, stream_id, meeting_id=self.meeting_id, custom_fields=self.scenario.custom_fields)

    def open_streams(self) -> None:
        """A stream for each app."""
        for app, endpoint in self.plan.apps:
            self._open_stream(app, endpoint)

    def _open_stream(self, app: ZoomApp, endpoint: EventSubscription) -> None:
        stream_ids = self._stream_ids(ids.hex_id(self._random, 32))
        paths = f"/rtms/{ids.hex_id(self._random, 16)}"
        url = self.services.url(paths)
        kinds = app.kinds & _PRODUCT_KINDS.get(self.scenario.product, EVERY_KIND)
        protocol = StreamProtocol(
            StreamIdentity(stream_ids.stream_id, self.entity_id, app.client_id, app.client_secret, kinds),
            session_id=ids.hex_id(self._random, 32),
            media_urls=_media_urls(url),
            now=self.services.clock.now(),
            switches=self.plan.switches,
        )
        live = LiveStream(protocol, self._context, partial(self._announce, stream_ids, endpoint), self.faults)
        for step in self._from_the_start:
            if step.word == "slow-close":
                live.slow_close_s = step.number("seconds")
        self.streams.append(AppStream(live=live, app=app, endpoint=endpoint, ids=stream_ids, paths=paths, server_urls=[url]))
        self.services.open_stream(live, paths)
        self.note(f"stream {stream_ids.stream_id} started")
        self._send(self._started(stream_ids, url), endpoint)

    def reallowed(self) -> None:
        """One of the scenario's `reallow` has been done."""
        self._reallows_left = max(0, self._reallows_left - 1)

    def no_more_streams(self) -> None:
        """The meeting ends: what the scenario allows later no longer keeps it open."""
        self._reallows_left = 0

    def move_servers(self, stream: AppStream) -> None:
        """A server died and another takes over."""
        self.services.close_path(stream.paths)
        stream.paths = f"/rtms/{ids.hex_id(self._random, 16)}"
        url = self.services.url(stream.paths)
        stream.server_urls.append(url)
        self.services.open_stream(stream.live, stream.paths)
        self.note(f"stream {stream.ids.stream_id} failed over")
        stream.live.act(stream.live.protocol.fail_over(url, _media_urls(url), self.services.clock.now()))

    def each(self, effects: Callable[[StreamProtocol, float], list[ProtocolEffect]]) -> None:
        """Have every living stream do something."""
        now = self.services.clock.now()
        for stream in self.living():
            stream.live.act(effects(stream.live.protocol, now))

    # Events on streams

    def send_events(self, stream_events: Iterable[StreamEvent]) -> None:
        """Message 6 to every app that subscribed and has the scope."""
        for event in stream_events:
            for stream in self.living():
                self._send_event(stream.live, event)

    def _send_event(self, live: LiveStream, event: StreamEvent) -> None:
        if event.scope is None or event.scope & live.protocol.identity.kinds:
            live.act(live.protocol.event(event.number, event.fields))

    def _tell_what_is_true(self, live: LiveStream, numbers: tuple[int, ...]) -> None:
        for event in self.roster.told_on_subscription(numbers, self.epoch_ms + self.timeline.position_ms):
            self._send_event(live, event)

    def at_ms(self, action: Action) -> int:
        """When the action is, in milliseconds since the epoch."""
        return self.epoch_ms + to_ms(action.at_s)

    def now_ms(self) -> int:
        return self.services.clock.now_ms()

    # Webhooks

    def _announce(self, stream_ids: events.StreamIds, endpoint: EventSubscription, announcement: SendWebhook) -> None:
        product = self.scenario.product
        match announcement.what:
            case "started":
                event = self._started(stream_ids, announcement.fields["server_urls"])
            case "stopped":
                event = events.stopped(product, stream_ids, announcement.fields["stop_reason"], self._event_ts())
            case "interrupted":
                newest = next(stream.server_urls[-1] for stream in self.streams if stream.ids is stream_ids)
                urls = newest if self.plan.switches.interrupted_urls else None
                event = events.interrupted(product, stream_ids, self._event_ts(), server_urls=urls)
        detail = f" with reason {announcement.fields['stop_reason']}" if "stop_reason" in announcement.fields else ""
        self.note(f"stream {stream_ids.stream_id} {announcement.what}{detail}")
        self._send(event, endpoint)

    def _started(self, stream_ids: events.StreamIds, url: str) -> events.WebhookEvent:
        switches = self.plan.switches
        return events.started(
            self.scenario.product,
            stream_ids,
            url,
            self._event_ts(),
            form=switches.payload_form,
            several_urls=switches.several_urls,
            custom_fields_key=switches.custom_fields_key,
        )

    def participant_event(self, person: Person, *, joined: bool) -> None:
        """`meeting.participant_joined` or `_left`, if the scenario has them."""
        build = meeting_events.participant_joined if joined else meeting_events.participant_left
        self._send_plain(partial(build, self._facts, person, self.now_ms()))

    def _send_plain(self, build: Callable[[int], events.WebhookEvent]) -> None:
        """A plain event to every app, if the scenario's `meeting_events` names it."""
        if self.scenario.meeting_events and build(0).name in self.scenario.meeting_events:
            event = build(self._event_ts())
            for endpoint in dict.fromkeys(endpoint for _app, endpoint in self.plan.apps):
                self._send(event, endpoint)

    def _event_ts(self) -> int:
        """When it happened, in milliseconds of the clock; no two events have the same. The first is the meeting's start."""
        if self._first_event:
            self._first_event = False
            return self.epoch_ms
        return self.services.next_event_ts(self.now_ms())

    def _send(self, event: events.WebhookEvent, endpoint: EventSubscription) -> None:
        self._tasks.start(self._deliver(event, endpoint))

    async def _deliver(self, event: events.WebhookEvent, endpoint: EventSubscription) -> None:
        self.deliveries.append(await self.services.deliver(event, endpoint, self.faults))

    def note(self, what: str) -> None:
        """A line of the report's timeline."""
        self._history.append((round((self.services.clock.now() - self.started_at) * 1000), what))


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
