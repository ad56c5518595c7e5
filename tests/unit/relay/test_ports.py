"""The words and defaults that both sides of each port share."""

from __future__ import annotations

import inspect
from typing import get_args

from rtms_relay import ports
from rtms_relay.ports import Answer, Queue, Recording


def test_the_queues_and_the_fields_that_narrow_a_list() -> None:
    assert get_args(ports.QueueName) == ("handoffs", "handoffs-second", "facts", "retrievals")
    assert get_args(ports.Path) == ("/events", "/retrieve")
    assert set(get_args(ports.IndexedField)) == {"state", "recording", "stream", "meeting", "mdc"}


def test_a_document_has_at_most_a_million_bytes() -> None:
    assert ports.MAX_DOCUMENT_BYTES == 1_000_000


def test_what_is_not_told_is_empty() -> None:
    assert Answer(503) == Answer(503, b"", None, None)
    assert Recording(id="r", status="done") == Recording(id="r", status="done", sub_code=None, updated_at="", artifacts={}, read=False)
    assert inspect.signature(Queue.enqueue).parameters["name"].default == ""
