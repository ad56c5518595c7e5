"""Recall's HTTP API: `Api` is the ASGI app, `operations` the table of what is served. Pure modules judge a request; `resources` does it."""
