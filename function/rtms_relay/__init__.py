"""The deployed service: takes Zoom's RTMS webhooks, hands each stream to Recall.ai once and in time, retrieves the recording."""

__version__ = "0.1.0"
