"""The kit: all fakes and the functions as one stack, meetings played from end to end, and a client of the worker."""
