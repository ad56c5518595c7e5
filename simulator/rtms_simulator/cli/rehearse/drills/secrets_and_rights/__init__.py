"""Secrets and grants that are wrong, or change."""
