"""Zoom as a whole: the RTMS servers, the webhooks and the meetings that take place, on one clock and one seed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from random import Random

import httpx
import msgspec
from starlette.applications import Starlette

from rtms_simulator.clock import Clock
from rtms_simulator.errors import UnreadableMessageError
from rtms_simulator.faults import STATUS, Fault, FaultBook, Step, parse_fault
from rtms_simulator.faults.zoom import FAMILIES, HANDSHAKE
from rtms_simulator.scenario import Scenario
from rtms_simulator.zoom.app import KINDS, ZoomApp
from rtms_simulator.zoom.event_socket import EventSockets
from rtms_simulator.zoom.media import MediaSource
from rtms_simulator.zoom.meeting.meeting import Meeting, MeetingPlan
from rtms_simulator.zoom.meeting.report import MeetingReport
from rtms_simulator.zoom.meeting.timeline import Speed
from rtms_simulator.zoom.oauth import AccessTokens
from rtms_simulator.zoom.rest import rest_routes
from rtms_simulator.zoom.rtms.answers import refusal
from rtms_simulator.zoom.rtms.enums import StatusCode
from rtms_simulator.zoom.rtms.handshake import read_hello, read_message
from rtms_simulator.zoom.rtms.server import DEFAULT_LIMITS, ConnectionLimits, RtmsServer, RtmsSocket
from rtms_simulator.zoom.rtms.states import SocketRole
from rtms_simulator.zoom.rtms.stream import LiveStream, MediaPackets
from rtms_simulator.zoom.switches import DOCUMENTED, ZoomSwitches
from rtms_simulator.zoom.tls import Tls
from rtms_simulator.zoom.webhooks import events
from rtms_simulator.zoom.webhooks.events import BodyStyle
from rtms_simulator.zoom.webhooks.sender import Authorization, Delivery, EventSubscription, UrlValidation, WebhookSender

_KEPT_MEETINGS = 2000
_ROLE_OF = {1: SocketRole.SIGNALING, 3: SocketRole.MEDIA}


class Zoom:
    """A Zoom with its apps. `await start()`, `await play(...)` any number of times, `await aclose()`.

    `app` is the app whose events go out; `more_apps` join meetings whose scenario has several. `host`/`port`: where the RTMS servers
    listen, port 0 is any free one; with `tls` URLs are `wss://localhost:...`. `transport` replaces the network for webhooks.
    """

    def __init__(
        self,
        clock: Clock,
        app: ZoomApp,
        *,
        more_apps: Iterable[ZoomApp] = (),
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: Tls | None = None,
        switches: ZoomSwitches = DOCUMENTED,
        limits: ConnectionLimits = DEFAULT_LIMITS,
        binary_frames: bool = False,
        faults: FaultBook | Iterable[str] = (),
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.clock = clock
        self.apps: tuple[ZoomApp, ...] = (app, *more_apps)
        self.seed = seed
        self._switches = switches
        self.tls = tls
        self.faults = faults if isinstance(faults, FaultBook) else FaultBook(FAMILIES, map(parse_fault, faults))
        self.webhooks = WebhookSender(clock, Random(seed + 1), switches=switches, faults=self.faults, transport=transport)
        self._server = RtmsServer(self, host=host, port=port, tls=tls.context if tls else None, binary=binary_frames, limits=limits)
        self.tokens = AccessTokens(clock, self.apps, Random(f"{seed}/tokens"))
        self.event_sockets = EventSockets(clock, self.apps, self.tokens.client_of, switches)
        self._numbers = itertools.count(1)
        self._last_event_ts = 0
        self.connections_seen = 0
        """How many RTMS connections were asked for, refused ones included."""
        self.meetings: dict[int, Meeting] = {}
        self._streams: dict[str, LiveStream] = {}
        self._bound: dict[int, LiveStream] = {}
        self._paths: dict[str, LiveStream] = {}
        self._dead: set[str] = set()

    async def start(self) -> None:
        """Listen. Raises OSError when the port is taken."""
        await self._server.start()

    async def aclose(self) -> None:
        """Break everything off and stop listening."""
        await self.reset()
        await self.event_sockets.aclose()
        await self.webhooks.aclose()
        await self._server.aclose()

    async def reset(self) -> None:
        """Forget all meetings, deliveries and faults; what is still running breaks off."""
        for meeting in list(self.meetings.values()):
            await meeting.aclose()
        self.meetings.clear()
        self._streams.clear()
        self._bound.clear()
        self._paths.clear()
        self._dead.clear()
        self.webhooks.deliveries.clear()
        self.faults.clear()

    @property
    def switches(self) -> ZoomSwitches:
        """What holds for what begins from now on. Streams that run keep what they began with; deliveries and event sockets follow."""
        return self._switches

    @switches.setter
    def switches(self, switches: ZoomSwitches) -> None:
        self._switches = self.webhooks.switches = self.event_sockets.switches = switches

    @property
    def rest_app(self) -> Starlette:
        """The ASGI app of Zoom's own REST calls alone (`rest.REST_PATH`, `rest.TOKEN_PATH`)."""
        return Starlette(routes=rest_routes(self))

    def event_socket_url(self, app: ZoomApp | None = None) -> str:
        """Where an app opens its event WebSocket; `&access_token=` is the app's to add."""
        return f"{self._server.base_url}/ws?subscriptionId={(app or self.apps[0]).subscription_id}"

    def server_urls(self) -> tuple[str, ...]:
        """The base URLs of the RTMS servers."""
        return (self._server.base_url,)

    @property
    def open_connections(self) -> int:
        """How many sockets are connected, with or without a handshake."""
        return len(self._server.sockets)

    # Meetings

    def begin(
        self,
        scenario: Scenario,
        webhook_url: str,
        *,
        speed: Speed = 1.0,
        faults: Iterable[Fault] = (),
        source: MediaPackets | None = None,
        media_file: Path | None = None,
        transcript_file: Path | None = None,
        authorization: Authorization = None,
        switches: ZoomSwitches | None = None,
        linger: bool = False,
    ) -> Meeting:
        """Have a meeting take place now. `media_file` and `transcript_file` replace what the scenario's people say.
        `webhook_url` may be empty for an app that has its event WebSocket only. `switches` replace Zoom's own for this meeting.
        `linger`: it goes on to its scripted end even when every stream has ended.

        Raises ValueError for a speed that cannot be and for a scenario of several meetings (see `play_all`), and what MediaSource raises.
        """
        if scenario.meetings != 1:
            raise ValueError(f"{scenario.name} is {scenario.meetings} meetings at once; play_all plays them")
        apps = tuple(
            (app, EventSubscription(app.webhook_url or webhook_url, app.secret_token, app.client_id, authorization))
            for app in itertools.islice(itertools.cycle(self.apps), scenario.apps)
        )
        switches = switches or self.switches
        if source is None:
            source = MediaSource(scenario, media_file=media_file, transcript_file=transcript_file, switches=switches)
            scenario = source.scenario
        plan = MeetingPlan(scenario=scenario, source=source, apps=apps, speed=speed, faults=tuple(faults), switches=switches, linger=linger)
        number = next(self._numbers)
        meeting = Meeting(number, plan, self, Random(f"{self.seed}/{number}/{scenario.seed}"))
        self.meetings[number] = meeting
        self._forget_old()
        meeting.start()
        return meeting

    async def play(
        self,
        scenario: Scenario,
        webhook_url: str,
        *,
        speed: Speed = 1.0,
        faults: Iterable[Fault] = (),
        media_file: Path | None = None,
        transcript_file: Path | None = None,
    ) -> MeetingReport:
        """Hold one meeting from beginning to end. Raises as `begin`."""
        meeting = self.begin(scenario, webhook_url, speed=speed, faults=faults, media_file=media_file, transcript_file=transcript_file)
        return await meeting.finished()

    async def play_all(
        self, scenario: Scenario, webhook_url: str, *, speed: Speed = 1.0, faults: Iterable[Fault] = ()
    ) -> tuple[MeetingReport, ...]:
        """Hold every meeting of a scenario at once."""
        faults = tuple(faults)
        meetings = [self.begin(single, webhook_url, speed=speed, faults=faults) for single in scenario.each()]
        return tuple([await meeting.finished() for meeting in meetings])

    def _forget_old(self) -> None:
        """Keep the reports of a bounded number of meetings that are over."""
        over = [number for number, meeting in self.meetings.items() if meeting.ended_at is not None]
        for number in over[: max(0, len(self.meetings) - _KEPT_MEETINGS)]:
            del self.meetings[number]

    # Webhooks

    def endpoint(self, webhook_url: str, *, authorization: Authorization = None) -> EventSubscription:
        """The first app's subscription at that URL."""
        app = self.apps[0]
        return EventSubscription(webhook_url, app.secret_token, app.client_id, authorization)

    async def deliver(
        self,
        event: events.WebhookEvent,
        endpoint: EventSubscription,
        faults: FaultBook | None = None,
        style: BodyStyle = events.ZOOMS_STYLE,
    ) -> Delivery:
        """Send one event, over the app's event WebSocket if it is open and to its webhook if it has one; retries follow by themselves.

        `faults` act before those that are armed for everything; they and `style` concern the webhook only.
        """
        sent = self.event_sockets.publish(endpoint.client_id, event)
        if endpoint.url:
            return await self.webhooks.deliver(event, endpoint, more_faults=faults, style=style)
        delivery = self.webhooks.record(event, "")
        delivery.outcome = "delivered" if sent else "withheld"
        return delivery

    async def validate(self, webhook_url: str) -> UrlValidation:
        """Challenge an endpoint, as "Validate" on the app's page does."""
        return await self.webhooks.validate(self.endpoint(webhook_url))

    # What a meeting needs of its Zoom

    def open_stream(self, stream: LiveStream, paths: str) -> None:
        self._streams[stream.protocol.identity.stream_id] = stream
        self._paths[paths] = stream

    def close_path(self, paths: str) -> None:
        self._paths.pop(paths, None)
        self._dead.add(paths)

    def url(self, paths: str) -> str:
        return self._server.base_url + paths

    def next_event_ts(self, at_ms: int) -> int:
        """`at_ms`, or the first millisecond after it that no event has, so that event, stream and event_ts name one happening."""
        self._last_event_ts = max(at_ms, self._last_event_ts + 1)
        return self._last_event_ts

    def over(self, meeting: Meeting) -> None:
        """Forget where an ended meeting's streams were; sockets that a fault keeps open stay theirs. Its report is kept."""
        for stream in meeting.streams:
            self._streams.pop(stream.ids.stream_id, None)
            self._paths.pop(stream.paths, None)
            self._dead.difference_update(url.removeprefix(self._server.base_url) for url in stream.server_urls)

    # What the RTMS servers ask (server.Hub)

    def refuse(self, path: str) -> int | None:
        """Any path is served, as no documentation names one; only those of a server that died answer 503."""
        if self.event_sockets.handles(path):
            return self.event_sockets.refuse(path)
        self.connections_seen += 1
        paths = "/".join(path.split("/")[:3])
        if paths in self._dead:
            return 503
        faults = self._take(self._paths.get(paths), _role_of_path(path), STATUS)
        return int(faults[0].number("status")) if faults else None

    def opened(self, socket: RtmsSocket) -> None:
        if self.event_sockets.handles(socket.path):
            self.event_sockets.opened(socket)

    def _take(self, stream: LiveStream | None, role: SocketRole, *words: str) -> list[Step]:
        """Faults of a handshake: the stream's own, then those that are armed for every one."""
        books = (self.faults,) if stream is None else (stream.faults, self.faults)
        return [step for book in books for _, step in book.take_each(HANDSHAKE, role.value, words=words)]

    def received(self, socket: RtmsSocket, raw: bytes) -> None:
        stream = self._bound.get(socket.number)
        if stream is not None:
            stream.received(socket, raw)
        elif self.event_sockets.handles(socket.path):
            self.event_sockets.received(socket, raw)
        else:
            self._first_message(socket, raw)

    def _first_message(self, socket: RtmsSocket, raw: bytes) -> None:
        """A handshake, or what came in its place."""
        role = _role_of_path(socket.path)
        try:
            message = read_message(raw)
        except UnreadableMessageError:
            self._refuse(socket, role, StatusCode.INVALID_PAYLOAD)
            return
        role = _ROLE_OF.get(message["msg_type"], role)
        hello = read_hello(message)
        stream = None if isinstance(hello, StatusCode) else self._streams.get(hello.stream_id)
        for step in self._take(stream, role, "refuse", "cut", "hang"):
            if step.word == "cut":
                socket.close(int(step.number("code")))
            if step.word != "refuse":
                return
            hello = StatusCode(int(step.number("status")))
            if stream is not None and hello is StatusCode.INVALID_SIGNATURE:
                stream.protocol.misjudge_signature()
        if isinstance(hello, StatusCode):
            self._refuse(socket, role, hello)
        elif stream is None:
            self._refuse(socket, role, StatusCode.INVALID_RTMS_STREAM_ID)
        elif stream.greet(socket, hello, raw):
            socket.bound = True
            self._bound[socket.number] = stream

    def _refuse(self, socket: RtmsSocket, role: SocketRole, status: StatusCode) -> None:
        socket.send(msgspec.json.encode(refusal(role, status, self.switches)))

    def lost(self, socket: RtmsSocket) -> None:
        self.event_sockets.lost(socket)
        stream = self._bound.pop(socket.number, None)
        if stream is not None:
            stream.lost(socket)


def _role_of_path(path: str) -> SocketRole:
    return SocketRole.MEDIA if path.rpartition("/")[2] in (*KINDS, "all") else SocketRole.SIGNALING
