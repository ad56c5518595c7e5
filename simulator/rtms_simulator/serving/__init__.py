"""HTTP servers on loopback, connections that a fault can cut, child processes that end with their parent, background tasks."""
