"""Bugs planted by hand outside the relay's cores, and the runner that shows that a named test kills each."""
