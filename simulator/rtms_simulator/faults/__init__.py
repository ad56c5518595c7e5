"""Faults: scripted misbehaviour, one table for each vendor."""
