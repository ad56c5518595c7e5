"""The RTMS protocol as a recorder speaks it, without I/O. Written from Zoom's documentation, apart from the simulator's Zoom."""
