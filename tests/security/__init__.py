"""Attacks on the service, each a row of docs/threat-model.md."""
