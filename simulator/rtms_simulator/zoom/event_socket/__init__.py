"""Zoom's event WebSocket: the second way for the same events to reach an app. `messages` is the protocol, `sockets` the server."""

from rtms_simulator.zoom.event_socket.sockets import EventSockets

__all__ = ["EventSockets"]
