"""Serving and processes: HTTP servers on loopback, connections that a fault can cut, and child processes that end with their parent."""
