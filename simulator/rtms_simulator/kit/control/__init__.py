"""The control plane of a stack: what `control` serves, said of the fakes that run. Its face is `operations`."""

from rtms_simulator.kit.control.all import Fakes, operations

__all__ = ["Fakes", "operations"]
