"""What crosses a boundary of our own is typed: a strict Struct, and never a dictionary that the other side takes apart by name."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from tests.lint.source import functions

import rtms_simulator
from rtms_simulator.control import answers
from rtms_simulator.kit.control.reference import all_operations

ROOT = Path(rtms_simulator.__file__).parent
TYPED = (
    "control.answers",
    "control.descriptions",
    "kit.worker_answers",
    "control.run_summary",
    "cli.fakes.replayed",
    "cli.service.serve_lines",
    "cli.service.zoom_app_fields",
)
"""The modules of the types: the control plane's answers, `up.json` and `serve.json`, the worker's answers, and what commands print."""

OPEN_FIELDS = {
    ("NewDelivery", "payload"): "the payload of any event of Zoom's",
    ("NewAction", "data"): "the fields of an action differ by its kind; the scenario's table checks them",
    ("SwitchChanges", "set"): "the values of switches have the types of their dataclasses, which check them",
    ("SwitchRow", "value"): "as above",
    ("SwitchRow", "default"): "as above",
    ("Happening", "row"): "one of the rows, as `kind` says",
}
"""Fields of an open type, each with its reason."""

OPEN_CODE = {
    "cli/fakes/running.py::ask": "a query's parameters and a body on their way to msgspec",
    "cli/fakes/running.py::_reply": "as above",
    "cli/fakes/switches.py::parsed": "the values of switches, as SwitchChanges",
    "cli/play/media.py::check_": "rows of a report, or of its error",
    "cli/play/media.py::_plain": "as above",
    "cli/play/meeting.py::_request": "options of the command line, as click gives them",
    "cli/play/send.py::composed": "an event of Zoom's, whose fields a person changes by name",
    "cli/play/send.py::_parent": "as above",
    "cli/rehearse/command.py::_settings": "a stack's settings file, as Pulumi reads it",
    "cli/rehearse/deployed/with_pulumi.py::rehearse_with_pulumi": "as above",
    "cli/rehearse/deployed/with_pulumi.py::_carried": "as above",
    "cli/rehearse/drill.py::Scene.__init__": "settings of a stack by key, as Pulumi reads them",
    "cli/rehearse/drill.py::Scene.up": "failures of the local provider, as its own file has them",
    "cli/rehearse/drill.py::Scene.events": "lines of the functions' logs",
    "cli/rehearse/firestore/records.py::EmulatedRecords._query": "a body of Firestore's REST API, as Google has it",
    "cli/rehearse/firestore/records.py::EmulatedRecords._ask": "as above",
    "cli/rehearse/front.py::Front._refusal": "claims of a token",
    "cli/rehearse/program.py::Program.carry": "steps that the engine of tests sends, in the form of the Pulumi program's process",
    "cli/rehearse/program.py::Program._answer": "a message of that process and its answer: each kind has other fields",
    "cli/rehearse/program.py::Program._configured": "a stack's settings file, as Pulumi reads it",
    "cli/rehearse/program.py::Program._request": "a message to that process",
    "cli/rehearse/program.py::_loaded": "its first message, of which a value is made here",
    "cli/rehearse/watch.py::Watch.__init__": "lines of the functions' logs: each event has its own fields",
    "control/openapi.py::document": "an OpenAPI document",
    "control/openapi.py::_operation": "as above",
    "control/openapi.py::_event": "as above",
    "control/openapi.py::_path_parameters": "as above",
    "control/openapi.py::_query_parameters": "as above",
    "control/openapi.py::_without_null": "a JSON schema, as msgspec makes it",
    "kit/control/defaults.py::check_switches": "values of switches",
    "kit/control/switches.py::changed": "values of switches, which their dataclasses check",
    "kit/control/switches.py::set_switches": "as above",
    "kit/control/switches.py::switched": "as above",
    "kit/control/switches.py::by_vendor": "as above",
    "kit/rows.py::_object": "a part of a payload of Zoom's",
    "kit/scenarios.py::unusable_switches": "values of switches",
    "testing/sandbox.py::WebhookSandbox.__init__": "values of switches",
    "testing/sandbox.py::WebhookSandbox.send": "a payload of Zoom's, of which any field can be changed",
    "testing/strategies.py::_whole": "a payload of Zoom's",
}
"""Functions that take or give open dictionaries, each with its reason."""


def structs() -> list[type[msgspec.Struct]]:
    modules = [importlib.import_module(f"rtms_simulator.{name}") for name in TYPED]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, answers.Strict | msgspec.Struct) and value.__module__ == module.__name__
    ]


@pytest.mark.parametrize("struct", structs(), ids=lambda struct: struct.__name__)
def test_every_value_that_crosses_a_boundary_is_strict_and_typed(struct: type[msgspec.Struct]) -> None:
    config = struct.__struct_config__
    assert config.frozen
    assert config.forbid_unknown_fields or struct.__name__ == "WrittenBy"
    for field in msgspec.structs.fields(struct):
        if "Any" in str(field.type) or field.type in (dict, list):
            assert (struct.__name__, field.name) in OPEN_FIELDS


def test_every_operation_answers_with_a_type_of_ours() -> None:
    assert len(all_operations()) >= 30
    for operation in all_operations():
        for type_ in (operation.answer, operation.body, operation.query):
            assert type_ is None or issubclass(type_, answers.Strict)


FOLDERS = ("cli", "control", "kit", "testing")
"""The folders whose code talks to the control plane, to the worker, or to another command of ours."""
OPEN_TYPE = re.compile(r"\b(dict|Mapping)(\[str, (Any|object)\]|(?!\[))")


def open_dictionaries(source: str) -> Iterator[tuple[str, str]]:
    """(function, annotation) of every dictionary with values of any type in what a function takes, gives, or keeps."""
    for name, function in functions(ast.parse(source)):
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        annotations = [one.annotation for one in arguments] + [function.returns]
        annotations += [node.annotation for node in ast.walk(function) if isinstance(node, ast.AnnAssign)]
        for annotation in annotations:
            if annotation is not None and OPEN_TYPE.search(ast.unparse(annotation)):
                yield name, ast.unparse(annotation)


def code() -> dict[str, str]:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    return {str(file.relative_to(ROOT)): file.read_text() for file in files}


def test_our_own_boundaries_have_no_untyped_dictionaries() -> None:
    sources = code()
    assert len(sources) >= 80
    used: set[str] = set()
    strange: list[str] = []
    for file, source in sources.items():
        for function, annotation in open_dictionaries(source):
            known = {f"{file}::{function}"} & OPEN_CODE.keys()
            used |= known
            if not known:
                strange.append(f"{file}::{function}: {annotation}")
    assert strange == []
    assert used == OPEN_CODE.keys(), "a reason that nothing needs any more"


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("def described(self) -> dict[str, Any]: ...", True),
        ("def find(file: Path) -> dict: ...", True),
        ("def show(summary: Mapping[str, Any] | None): ...", True),
        ("async def play(a, *, summary: dict[str, object]): ...", True),
        ("def f():\n    rows: list[dict[str, Any]] = []", True),
        ("def find(file: Path) -> UpDescription: ...", False),
        ("def f(files: dict[str, RunFile]) -> Mapping[int, str]: ...", False),
    ],
)
def test_the_search_sees_an_untyped_dictionary_and_only_that(source: str, seen: bool) -> None:
    assert bool(list(open_dictionaries(source))) is seen


CLIENTS = ("cli/fakes/", "cli/play/demo.py", "cli/play/meeting.py", "cli/records/", "cli/service/serve.py", "kit/")
DEFAULT = re.compile(r"""(?<!headers)(?<!metadata)(?<!environ)(?<!environment)\.get\(["'][\w.]+["'], (""|''|\{\}|\[\])\)|\.json\(\)\[""")


def test_nobody_reads_an_answer_as_a_dictionary_with_a_default() -> None:
    files = {file: source for file, source in code().items() if file.startswith(CLIENTS)}
    assert len(files) >= 40
    lines = [(file, line.strip()) for file, source in files.items() for line in source.splitlines()]
    assert [found for found in lines if DEFAULT.search(found[1])] == []
