"""Drills in which something is away, stalls or fails.

One module a drill, named in the list of `drills`.
"""
