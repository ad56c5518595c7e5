"""Commands that start and steer the fakes: up, clock, events, faults, requests, switches, reset.

One module a command; `running` finds the fakes that run.
"""
