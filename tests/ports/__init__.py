"""One set of in-memory ports for the relay: unit tests, property tests and the simulation use the same store, queue, archive and Recall."""
