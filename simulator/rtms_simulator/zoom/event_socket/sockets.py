"""The server's side of the event WebSocket: who is connected for which app, and what each is sent. Times are those of the clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from websockets.frames import CloseCode

from rtms_simulator.clock import Clock
from rtms_simulator.serving.background import BackgroundTasks
from rtms_simulator.zoom.app import ZoomApp
from rtms_simulator.zoom.event_socket.messages import (
    SocketRequest,
    connection_built,
    event_message,
    heartbeat_answer,
    read_client_message,
    read_request,
)
from rtms_simulator.zoom.rtms.server import RtmsSocket
from rtms_simulator.zoom.switches import ZoomSwitches
from rtms_simulator.zoom.webhooks.events import WebhookEvent


class EventSockets:
    """The open event WebSockets. `client_of` gives the client id that an access token belongs to, or None."""

    def __init__(self, clock: Clock, apps: Iterable[ZoomApp], client_of: Callable[[str], str | None], switches: ZoomSwitches) -> None:
        self._clock = clock
        self._apps: Mapping[str, ZoomApp] = {app.subscription_id: app for app in apps}
        self._client_of = client_of
        self.switches = switches
        self._open: dict[str, RtmsSocket] = {}
        self._heard_at: dict[int, float] = {}
        self._tasks = BackgroundTasks()

    async def aclose(self) -> None:
        """Stop watching. The sockets are the server's to break."""
        self._open.clear()
        await self._tasks.aclose()

    def connected(self, client_id: str) -> bool:
        """Whether an app has an open event WebSocket."""
        return any(self._apps[subscription].client_id == client_id for subscription in self._open)

    def handles(self, path: str) -> bool:
        """Whether a connection with this path is one of these."""
        return read_request(path) is not None

    def refuse(self, path: str) -> int | None:
        """An HTTP status in place of the upgrade, or None."""
        request = read_request(path)
        if request is None or self.switches.event_socket_refusal != "http":
            return None
        return None if self._problem(request) is None else 401

    def opened(self, socket: RtmsSocket) -> None:
        """The upgrade is done: the connection is built, or refused with a message and a close."""
        request = read_request(socket.path)
        assert request is not None
        socket.bound = True
        problem = self._problem(request)
        earlier = self._open.get(request.subscription_id)
        if problem is None and earlier is not None and self.switches.event_socket_second == "refuse":
            problem = "This subscription has a connection"
        if problem is not None:
            socket.send(connection_built(success=False, content=problem))
            socket.close(CloseCode.POLICY_VIOLATION)
            return
        if earlier is not None:
            earlier.close(CloseCode.NORMAL_CLOSURE)
        self._open[request.subscription_id] = socket
        self._heard_at[socket.number] = self._clock.now()
        self._tasks.start(self._watch(socket))
        socket.send(connection_built(success=True, content="ok"))

    def received(self, socket: RtmsSocket, raw: bytes) -> None:
        """A heartbeat is answered; anything else closes the connection: 1007 for what is no JSON object, 1008 for another module."""
        if socket not in self._open.values():
            return
        match read_client_message(raw):
            case "heartbeat":
                self._heard_at[socket.number] = self._clock.now()
                socket.send(heartbeat_answer())
            case "unreadable":
                socket.close(CloseCode.INVALID_DATA)
            case "unknown":
                socket.close(CloseCode.POLICY_VIOLATION)

    def lost(self, socket: RtmsSocket) -> None:
        self._heard_at.pop(socket.number, None)
        for subscription, other in list(self._open.items()):
            if other is socket:
                del self._open[subscription]

    def publish(self, client_id: str, event: WebhookEvent) -> bool:
        """Send an event to the app's connection. False if there is none: it is not sent later."""
        sockets = [socket for subscription, socket in self._open.items() if self._apps[subscription].client_id == client_id]
        for socket in sockets:
            socket.send(event_message(event, self.switches.event_socket_content))
        return bool(sockets)

    def _problem(self, request: SocketRequest) -> str | None:
        """Why there is no connection for this request. An app may open its own subscription only."""
        client_id = self._client_of(request.access_token)
        if client_id is None:
            return "Invalid Token"
        app = self._apps.get(request.subscription_id)
        return None if app is not None and app.client_id == client_id else "Invalid subscription"

    async def _watch(self, socket: RtmsSocket) -> None:
        """Close a connection without a heartbeat."""
        while (heard_at := self._heard_at.get(socket.number)) is not None:
            due = heard_at + self.switches.event_socket_silence_s
            if due <= self._clock.now():
                socket.close(CloseCode.POLICY_VIOLATION)
                return
            await self._clock.sleep_until(due)
