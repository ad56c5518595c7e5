"""The control plane: what a program or a person asks of the running fakes, beside the vendors' own APIs.

`operations` is the table of what can be asked, `app` serves it behind `guard`, `answers` has the types of what comes back. What each fake
does for an operation is in `kit.control`.
"""
