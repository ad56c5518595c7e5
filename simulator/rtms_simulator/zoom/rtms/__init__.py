"""Zoom's RTMS servers: the protocol without I/O, its numbers and messages, and the WebSocket servers that speak it."""
