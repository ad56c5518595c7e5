"""Zoom's webhooks: the events as JSON, and their signed delivery with retries."""
