"""What Recall sends: webhooks with their retries, real-time endpoints, and the signatures on both."""
