"""What can be made to go wrong at Cloud Tasks: the creation of a task, its dispatch, a queue as a whole.

A queue is named by its last part (`handoffs`), or by that and its location (`handoffs@europe-west4`).

Google documents: tasks are delivered at least once and in no certain order; executions may be delayed by minutes without a log line;
a paused queue accepts tasks; a queue that was idle for 30 days takes minutes to wake and may answer NOT_FOUND meanwhile; dispatch grows
slowly after idleness; 429, 503 and a high rate of errors slow the whole queue.
"""

from __future__ import annotations

from rtms_simulator.faults.common import HTTP_STATUS, delivery_words, duration
from rtms_simulator.faults.grammar import STATUS, Family, FaultWord, Occasion, Setting, SettingType

GRPC_STATUSES = (
    "unavailable",
    "not-found",
    "resource-exhausted",
    "deadline-exceeded",
    "permission-denied",
    "internal",
    "failed-precondition",
)


def _lasting(default: float, says: str) -> Setting:
    return duration(default, f"{says}; 0s is until it is cleared")


_GRPC_STATUS = Setting(SettingType.TEXT, "unavailable", "the gRPC status", GRPC_STATUSES)
_START = Setting(SettingType.FRACTION, 1.0, "dispatches a second", least=0.01, most=500)
_SHARE = Setting(SettingType.FRACTION, 0.1, "0.001 to 1", least=0.001, most=1)

CREATE = Family(
    "tasks",
    "tasks.create",
    "queue",
    "the creation of a task",
    {
        "refuse": FaultWord("it fails, and no task is made", {"status": _GRPC_STATUS}, value="status"),
        "slow": FaultWord("it is done and answered later", {"seconds": duration(5, "how much later")}, value="seconds"),
        "hang": FaultWord("it is never answered, and no task is made"),
        "cut": FaultWord("the task is made, and the call fails with UNAVAILABLE"),
    },
)
DISPATCH = Family(
    "tasks",
    "tasks.dispatch",
    "queue",
    "a task when it is due",
    delivery_words()
    | {
        "cut": FaultWord("the worker is called, its answer is lost, and the task is tried again"),
        STATUS: FaultWord("the platform answers in the worker's place", {"status": HTTP_STATUS}),
    },
)
QUEUE = Family(
    "tasks",
    "tasks.queue",
    "queue",
    "a queue as a whole, from now on",
    {
        "stall": FaultWord("it takes tasks and dispatches none; nothing shows it", {"seconds": _lasting(300, "how long")}, value="seconds"),
        "pause": FaultWord(
            "it takes tasks and dispatches none; its state is PAUSED", {"seconds": _lasting(0, "how long")}, value="seconds"
        ),
        "sleep": FaultWord(
            "creations fail with NOT_FOUND and nothing is dispatched, until some time after the first creation",
            {"wake": duration(120, "that time"), "seconds": _lasting(0, "how long the fault lasts")},
            value="wake",
        ),
        "ramp": FaultWord(
            "its rate begins at `start` a second and grows to its own",
            {
                "seconds": duration(60, "how long that takes"),
                "start": _START,
            },
            value="seconds",
        ),
        "slow": FaultWord(
            "its rate falls to this share of its own, as after many errors",
            {"share": _SHARE, "seconds": _lasting(0, "how long")},
            value="share",
        ),
    },
    Occasion.STATE,
)
FAMILIES = (CREATE, DISPATCH, QUEUE)
