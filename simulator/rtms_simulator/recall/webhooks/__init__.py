"""Recall's webhooks: signing, delivery with retries, and real-time endpoints."""
