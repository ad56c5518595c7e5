"""Real processes, killed at random moments, with a misbehaving network between all parts. `python -m tests.chaos --help`."""
