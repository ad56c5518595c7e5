"""Fixtures for people who test their own receiver against the fakes."""
