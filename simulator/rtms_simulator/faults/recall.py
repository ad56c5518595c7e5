"""What can be made to go wrong at Recall: requests to its API, downloads, its webhooks.

Operations are `create`, `retrieve` and `list` of Meeting Direct Connect, any operationId of the OpenAPI document, and `download`.
"""

from __future__ import annotations

from rtms_simulator.faults.common import HTTP_STATUS, delivery_words, duration
from rtms_simulator.faults.grammar import STATUS, Family, FaultWord, Setting, SettingType

ALWAYS_STORED = frozenset({402, 507})
"""Answers that an Idempotency-Key replays, as Recall documents; others only with `stored`."""

_STATUS = {
    "status": HTTP_STATUS,
    "html": Setting(SettingType.FLAG, None, "a page as a load balancer sends it instead of JSON"),
    "stored": Setting(SettingType.FLAG, None, "an Idempotency-Key replays this answer (402 and 507 always are replayed)"),
    "done": Setting(SettingType.FLAG, None, "the request is done; only the answer is another"),
    "retry-after": Setting(SettingType.WHOLE, None, "the header, in seconds"),
    "header": Setting(SettingType.TEXT, None, 'one more header: header="Location: /elsewhere"'),
    "body": Setting(SettingType.TEXT, None, "the body of the answer, unchanged"),
}
_LATER = duration(5, "how much later")
_DOWNLOAD = "recall.download"

REQUEST = Family(
    "recall",
    "recall",
    "operation",
    "a request to its API",
    {
        STATUS: FaultWord("it is answered with this status, and nothing is done", _STATUS),
        "slow": FaultWord("it is done and answered later; meanwhile it is in flight", {"seconds": _LATER}, value="seconds"),
        "hang": FaultWord("it is never answered"),
        "reset": FaultWord("the connection is reset, and nothing is done"),
        "cut": FaultWord("it is done, then the connection is closed without an answer"),
        "expired": FaultWord("the link's 6 hours are over", only=_DOWNLOAD),
        "truncate": FaultWord(
            "the connection is closed after this many bytes of the body",
            {"size": Setting(SettingType.WHOLE, 1000, "how many bytes")},
            value="size",
            only=_DOWNLOAD,
        ),
    },
)
WEBHOOK = Family("recall", "recall.webhook", "event", "a webhook message", delivery_words())
FAMILIES = (REQUEST, WEBHOOK)
