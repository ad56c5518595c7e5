"""Benches end with their tests."""

from tests.ports.fixtures import benches_closed

__all__ = ["benches_closed"]
