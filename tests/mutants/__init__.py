"""Mutation testing of the relay's cores, on demand: `python -m tests.mutants`. docs/mutants.md lists what survives, and why."""
