"""Zoom's webhooks: the events as JSON, and their signed delivery with retries.

A new event is in `events` (`meeting_events` for what a meeting sends); `sender` signs and delivers.
"""
