"""A meeting: who is in it and what happens, the media timeline, and the report of what was played.

`meeting` plays; an action of a scenario's timeline is in `actions`, a fault of a stream in `stream_faults`.
"""
