"""What Recall sends: webhooks with their retries, real-time endpoints, and the signatures on both.

`bodies` makes an event, `sender` delivers it, `realtime` is for events while a meeting runs.
"""
