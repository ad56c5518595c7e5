"""Clients of the worker: `http` asks and decodes, `handoffs` is for its records.

What comes back is typed in `kit.worker_answers`.
"""
