"""The control plane: what a program or a person asks of the running fakes, beside the vendors' own APIs."""
