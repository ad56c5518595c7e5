"""The RTMS client of the fake Recall: the protocol as a recorder speaks it, without I/O."""
