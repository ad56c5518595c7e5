"""The kit: all fakes and the functions as one stack, meetings played from end to end, and a client of the worker.

`stack` starts everything, `play` plays one request in it, `deployed` gives the numbers of the Pulumi program to both.
"""
