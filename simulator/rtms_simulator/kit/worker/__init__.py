"""Clients of the worker."""
