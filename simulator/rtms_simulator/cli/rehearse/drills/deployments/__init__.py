"""Drills of what `pulumi` does while meetings go on.

One module a drill, named in the list of `drills`.
"""
