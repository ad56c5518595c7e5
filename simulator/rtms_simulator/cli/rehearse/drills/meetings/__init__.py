"""Drills of meetings as they should go, and many of them at once.

One module a drill, named in the list of `drills`.
"""
