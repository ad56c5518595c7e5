"""What is deployed, running on this machine: the functions' processes, the schedule, and a whole that is kept running after `up`.

`services` runs a function from its registered archive with its registered variables.
"""
