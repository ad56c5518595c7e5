"""Mutation testing of the function, on demand: `python -m tests.mutants`. docs/mutants.md lists what survives, and why."""
