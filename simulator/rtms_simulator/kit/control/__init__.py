"""The control plane of a stack: what `control` serves, said of the fakes that run. Its face is `all.operations`.

Nothing is imported here: `kit.scenarios` needs its table of switches, and the operations need `kit.scenarios`.
"""
