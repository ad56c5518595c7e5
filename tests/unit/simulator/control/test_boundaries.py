"""What crosses a boundary of our own is typed: every answer is a strict Struct, and nobody reads one with `.get(..., "")`."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import rtms_simulator
from rtms_simulator.control import answers
from rtms_simulator.kit import worker_answers
from rtms_simulator.kit.control.reference import all_operations

ROOT = Path(rtms_simulator.__file__).parent
OPEN = {
    ("NewDelivery", "payload"): "the payload of any event of Zoom's",
    ("NewAction", "data"): "the fields of an action differ by its kind; the scenario's table checks them",
    ("SwitchChanges", "set"): "the values of switches have the types of their dataclasses, which check them",
    ("SwitchRow", "value"): "as above",
    ("SwitchRow", "default"): "as above",
    ("StreamRow", "sent"): "packets, bytes and sha256 by kind of media",
    ("Happening", "row"): "one of the rows, as `kind` says",
}
"""Fields of an open type, each with its reason."""

STRUCTS = [
    value
    for module in (answers, worker_answers)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
]


@pytest.mark.parametrize("struct", STRUCTS, ids=lambda struct: struct.__name__)
def test_every_value_that_crosses_a_boundary_is_strict_and_typed(struct: type[msgspec.Struct]) -> None:
    config = struct.__struct_config__
    assert (config.forbid_unknown_fields, config.frozen) == (True, True)
    for field in msgspec.structs.fields(struct):
        if "Any" in str(field.type):
            assert (struct.__name__, field.name) in OPEN


def test_every_operation_answers_with_a_type_of_ours() -> None:
    assert len(all_operations()) >= 30
    for operation in all_operations():
        for type_ in (operation.answer, operation.body, operation.query):
            assert type_ is None or issubclass(type_, answers.Strict)


CLIENTS = ("cli/fakes", "cli/play/meeting.py", "cli/records", "kit/worker_client.py", "kit/worker", "kit/end_to_end.py", "kit/control")
"""Where answers of the worker and of the control plane are read."""


def test_nobody_reads_an_answer_as_a_dictionary_with_a_default() -> None:
    files = [file for part in CLIENTS for file in ([ROOT / part] if part.endswith(".py") else sorted((ROOT / part).glob("*.py")))]
    assert len(files) >= 15
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if re.search(r"""(?<!headers)(?<!metadata)\.get\(["'][\w.]+["'], (""|''|\{\}|\[\])\)|\.json\(\)\[""", line)
    ]
    assert found == []
