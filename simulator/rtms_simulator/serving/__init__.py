"""HTTP servers on loopback, connections that a fault can cut, child processes that end with their parent, background tasks.

Nothing here knows a vendor. `http_server` serves, `processes` starts and ends, `background` owns tasks, `alone` keeps others out of a file.
"""
