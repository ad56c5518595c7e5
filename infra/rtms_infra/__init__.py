"""The Pulumi program of the relay: `stack.deploy` registers everything, one module a kind of resource.

`keys` is the table of what can be configured, `numbers` that of rates, limits and deadlines; `rehearsal` runs the program on this machine.
"""
