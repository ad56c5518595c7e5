"""Recall's HTTP API: `api` is the ASGI app, `operations` the table of what is served. Pure modules judge a request; `resources` does it.

A new operation is a row of `operations`, a method in `resources`, and its shapes in `schemas`.
"""
