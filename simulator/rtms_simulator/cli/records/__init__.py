"""Commands that read the records of a worker: hand-offs and recordings."""
