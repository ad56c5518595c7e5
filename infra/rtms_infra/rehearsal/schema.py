"""What pulumi-gcp allows, derived from the installed package itself, and a check of registered inputs against it.

Pulumi's own checks (and its mocks) let a misspelt nested key, a missing nested field or a wrong enum pass. Here every input type
is read from the generated Python classes: signature -> required or not, name tables -> wire names, type hints -> nested types,
"Possible values are" in the docstrings -> enums.
"""

from __future__ import annotations

import collections.abc
import inspect
import re
import sys
import types
import typing
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec
import pulumi
import pulumi_gcp
from pulumi import _types

_POSSIBLE = re.compile(r"[Pp]ossible values (?:are|include)[^`]*?:?\s*((?:`[^`]+`[,.\s]*(?:and |or )?)+)")


_T = typing.TypeVar("_T")
"""Stands for the T in the generated hints, which name no module of theirs."""


@dataclass(frozen=True)
class Property:
    """One property: `kind` is "string", "integer", "number", "boolean", "any", or a `Shape`."""

    name: str
    required: bool
    type: Any
    enum: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shape:
    """A list or a map of something."""

    of: Any
    container: str


@dataclass(frozen=True)
class InputType:
    """A class of inputs, by its wire names."""

    name: str
    properties: Mapping[str, Property]


def _classes() -> dict[str, tuple[str, str]]:
    source = Path(pulumi_gcp.__file__).read_text()
    start = source.index('resource_modules="""') + len('resource_modules="""')
    modules = msgspec.json.decode(source[start : source.index('"""', start)])
    return {token: (module["fqn"], name) for module in modules for token, name in module["classes"].items()}


@cache
def resource_type(token: str) -> InputType:
    """The inputs of a resource type, `gcp:module/resource:Resource`."""
    module, name = _classes()[token]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pulumi_gcp.monitoring announces one on import
        resource = getattr(import_module(module), name)
    where = sys.modules[resource.__module__]
    return described(getattr(where, f"{name}Args"))


@cache
def described(cls: type) -> InputType:
    """An `...Args` class."""
    names = _types.input_type_py_to_pulumi_names(cls)
    where = sys.modules[cls.__module__]
    inputs = import_module(cls.__module__.rsplit(".", 1)[0] + "._inputs")
    scope = {**vars(inputs), **vars(where), "pulumi": pulumi, "Output": pulumi.Output, "T": _T}
    initializer = cls.__init__  # type: ignore[misc]
    hints = typing.get_type_hints(initializer, scope)
    properties = {}
    for parameter in list(inspect.signature(initializer).parameters.values())[1:]:
        name = names.get(parameter.name, parameter.name)
        text = inspect.getdoc(getattr(cls, parameter.name, None)) or ""
        required = parameter.default is inspect.Parameter.empty
        properties[name] = Property(name, required, _type(hints[parameter.name]), _enum(text))
    return InputType(cls.__name__, properties)


def _enum(text: str) -> tuple[str, ...]:
    match = _POSSIBLE.search(text)
    return tuple(re.findall(r"`([^`]+)`", match[1])) if match else ()


def _type(hint: Any) -> Any:
    """Unwrap Input and Optional, then name what is left."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        names = map(_type, filter(_is_shown, typing.get_args(hint)))
        return next((s for s in names if s != "any"), "any")
    if origin in (collections.abc.Sequence, list):
        return Shape(_type(typing.get_args(hint)[0]), "list")
    if origin in (collections.abc.Mapping, dict):
        return Shape(_type(typing.get_args(hint)[1]), "map")
    if inspect.isclass(hint) and _types.is_input_type(hint):
        return described(hint)
    return {str: "string", int: "integer", float: "number", bool: "boolean"}.get(hint, "any")


def _is_shown(option: Any) -> bool:
    """Whether a part of a union says what is accepted: not None, an output, something awaited, or the dictionary of an input type."""
    if option is type(None) or typing.get_origin(option) in (pulumi.Output, collections.abc.Awaitable):
        return False
    return not (inspect.isclass(option) and typing.is_typeddict(option))


@dataclass
class Count:
    """How much was looked at."""

    types: set[str]
    properties: set[tuple[str, str]]
    required: set[tuple[str, str]]
    enums: set[tuple[str, str]]

    @staticmethod
    def empty() -> Count:
        return Count(set(), set(), set(), set())

    def add(self, cls: InputType) -> None:
        if cls.name not in self.types:
            self.types.add(cls.name)
            for name, declared in cls.properties.items():
                self.properties.add((cls.name, name))
                if declared.required:
                    self.required.add((cls.name, name))
                if declared.enum:
                    self.enums.add((cls.name, name))
                self.add_nested(declared.type)

    def add_nested(self, kind: Any) -> None:
        if isinstance(kind, InputType):
            self.add(kind)
        elif isinstance(kind, Shape):
            self.add_nested(kind.of)

    def __str__(self) -> str:
        return (
            f"{len(self.types)} input types, {len(self.properties)} properties, "
            f"{len(self.required)} required fields, {len(self.enums)} enums"
        )


def check(token: str, name: str, inputs: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the inputs of a resource, one sentence each; `name` begins every path."""
    yield from _check(name, resource_type(token), inputs)


def _check(path: str, cls: InputType, value: Any) -> Iterator[str]:
    if not isinstance(value, Mapping) or "$secret" in value:
        yield f"{path}: expected {cls.name}, found {type(value).__name__}"
        return
    for name in value:
        if name not in cls.properties:
            yield f"{path}.{name}: {cls.name} has no such property"
    for name, declared in cls.properties.items():
        if value.get(name) is not None:
            yield from _check_value(f"{path}.{name}", declared.type, value[name], declared.enum)
        elif declared.required:
            yield f"{path}.{name}: required by {cls.name}, and missing"


def _check_value(path: str, kind: Any, value: Any, enum: tuple[str, ...]) -> Iterator[str]:
    if isinstance(value, Mapping) and "$secret" in value:
        value = value["$secret"]
    if isinstance(kind, InputType):
        yield from _check(path, kind, value)
    elif isinstance(kind, Shape):
        yield from _check_items(path, kind, value, enum)
    elif not _fits(kind, value):
        yield f"{path}: expected {kind}, found {value!r}"
    elif enum and isinstance(value, str) and value not in enum:
        yield f"{path}: {value!r} is none of {', '.join(enum)}"


def _check_items(path: str, kind: Shape, value: Any, enum: tuple[str, ...]) -> Iterator[str]:
    if not isinstance(value, list if kind.container == "list" else Mapping):
        yield f"{path}: expected a {kind.container}, found {type(value).__name__}"
        return
    for index, item in enumerate(value) if isinstance(value, list) else value.items():
        yield from _check_value(f"{path}[{index}]", kind.of, item, enum)


def _fits(kind: str, value: Any) -> bool:
    if kind == "any":
        return True
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, str)
