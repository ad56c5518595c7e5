"""Zoom, Recall.ai and Cloud Tasks as faithful fakes on one controllable clock.

The names in `__all__` are the public face; they are imported when they are used. Everything else may change between minor versions.
"""

from typing import TYPE_CHECKING

from rtms_simulator.packaging.public_face import exported
from rtms_simulator.packaging.version import __version__ as __version__

if TYPE_CHECKING:
    from rtms_simulator.clock import Clock
    from rtms_simulator.cloud_tasks import CloudTasks
    from rtms_simulator.errors import SimulatorError
    from rtms_simulator.faults import Fault, FaultBook, parse_fault
    from rtms_simulator.recall import Recall
    from rtms_simulator.scenario import Scenario, load_scenario
    from rtms_simulator.testing.sandbox import WebhookSandbox
    from rtms_simulator.zoom import Zoom, ZoomApp

__all__ = [
    "Clock",
    "CloudTasks",
    "Fault",
    "FaultBook",
    "Recall",
    "Scenario",
    "SimulatorError",
    "WebhookSandbox",
    "Zoom",
    "ZoomApp",
    "load_scenario",
    "parse_fault",
]

__getattr__ = exported(
    __name__,
    {
        "Clock": "clock",
        "CloudTasks": "cloud_tasks",
        "Fault": "faults",
        "FaultBook": "faults",
        "Recall": "recall",
        "Scenario": "scenario",
        "SimulatorError": "errors",
        "WebhookSandbox": "testing.sandbox",
        "Zoom": "zoom",
        "ZoomApp": "zoom",
        "load_scenario": "scenario",
        "parse_fault": "faults",
    },
)
