"""Bugs of two steps in the fake Recall and the fake Cloud Tasks, each as the change that makes it and the test that must see it.

`python -m tests.property.recall.planted` puts each into a copy of the simulator and runs its test, which has to fail.
`test_planted.py` holds that every change still applies and every test is there.
"""

from __future__ import annotations

import sys

from tests.property.zoom.planted import Planted, main

WEBHOOKS = "tests/property/recall/test_webhooks_machine.py::TestWebhooksAgainstTheirDocuments"
SENDER = "recall/webhooks/sender.py"

PLANTED: tuple[Planted, ...] = (
    Planted(
        "a success between two failures does not break the run that disables an endpoint",
        SENDER,
        "            endpoint.failures.ended()\n        elif",
        "        elif",
        WEBHOOKS,
    ),
    Planted(
        "a failure counts from its beginning, before a success that came meanwhile",
        SENDER,
        "endpoint.failures.failed(ended)",
        "endpoint.failures.failed(now)",
        WEBHOOKS,
    ),
    Planted(
        "one bad hour begins the five days",
        "recall/webhooks/failure_run.py",
        "at - self._recent[0] >= APART_S:",
        "at > self._recent[0]:",
        WEBHOOKS,
    ),
    Planted(
        "an endpoint that was enabled again carries its old failures",
        SENDER,
        "        endpoint.failures.ended()\n\n    def recover",
        "\n    def recover",
        WEBHOOKS,
    ),
    Planted(
        "what was queued before an endpoint was disabled goes out all the same",
        SENDER,
        "                if not endpoint.enabled:\n                    _not_sent(message)\n                    continue\n",
        "",
        WEBHOOKS,
    ),
    Planted(
        "a message that was sent again by hand and arrived is retried",
        SENDER,
        'if message.state == "delivered" or await self._attempt(message):',
        "if await self._attempt(message):",
        WEBHOOKS,
    ),
    Planted(
        "a message that arrived while its retries ended is called failed",
        SENDER,
        '        if message.state == "delivered":\n            return\n        message.state = "failed"',
        '        message.state = "failed"',
        WEBHOOKS,
    ),
    Planted(
        "a secret that was put back signs twice",
        SENDER,
        "list(dict.fromkeys([self.current, *(secret for _, secret in self._replaced)]))",
        "[self.current, *(secret for _, secret in self._replaced)]",
        WEBHOOKS,
    ),
    Planted(
        "of several replaced secrets only the last one signs",
        SENDER,
        "        self._replaced.insert(0, (now, self.current))",
        "        self._replaced = [(now, self.current)]",
        WEBHOOKS,
    ),
    Planted(
        "a replaced secret signs at its 24th hour",
        SENDER,
        "if now < at + ROTATION_S]",
        "if now <= at + ROTATION_S]",
        "tests/unit/simulator/recall/webhooks/test_sender.py::test_the_24_hours_of_a_replaced_secret_end_on_the_second",
    ),
)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], PLANTED))
