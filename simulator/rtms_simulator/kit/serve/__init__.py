"""The real service on one machine: its processes, the file of its variables, the tunnel to it."""
