"""Commands that start and steer the fakes: up, clock, events, faults, reset."""
