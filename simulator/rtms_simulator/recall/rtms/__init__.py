"""The RTMS protocol as a recorder speaks it, without I/O. Written from Zoom's documentation, apart from the simulator's Zoom.

`client` takes messages and gives actions back; `messages` and `codes` are Zoom's names and numbers as this side knows them.
"""
