"""Meetings as they should go."""
