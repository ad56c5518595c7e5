"""Zoom, Recall.ai and Cloud Tasks as faithful fakes on one controllable clock."""

__version__ = "0.1.0"
