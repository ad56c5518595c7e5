"""The project's own checks, run by `make lint`: sizes, dead names, doubled class names, tests that cannot fail."""
