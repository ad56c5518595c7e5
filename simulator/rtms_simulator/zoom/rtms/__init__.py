"""Zoom's RTMS servers: the protocol without I/O, its numbers and messages, and the WebSocket servers that speak it.

`protocol` decides what is answered, `server` and `transport` speak it, `stream` is the one stream that is served.
"""
