"""Drills of secrets and grants that are wrong, or change while meetings go on.

One module a drill, named in the list of `drills`.
"""
