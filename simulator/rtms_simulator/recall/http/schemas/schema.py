"""Small declarative types for request bodies: one table gives the 400 texts (docs/evidence/recall.md B3) and the schema (pure).

`problems(value, where)` returns None when the value fits, else what a Django REST Framework API answers: a list of sentences,
or a map of field to problems, nested as the body nests. Texts labelled seen in B3 are the vendor's; the others are the
framework's defaults (inferred).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Problems = list[str] | dict[str, Any]

NOT_ALLOWED = "This field is not allowed. (more details: https://docs.recall.ai/reference/{operation}?region={region})"
REQUIRED = "This field is required."
NULL = "This field may not be null."
NON_FIELD = "non_field_errors"


@dataclass(frozen=True, slots=True)
class RequestContext:
    """Which operation in which region is being asked; the text for unknown fields names both."""

    operation: str
    region: str


class Type(Protocol):
    """One type of value."""

    @property
    def nullable(self) -> bool: ...

    def problems(self, value: Any, where: RequestContext) -> Problems | None: ...

    def schema(self) -> dict[str, Any]: ...


def _or_null(schema: dict[str, Any], *, nullable: bool) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]} if nullable else schema


@dataclass(frozen=True, slots=True)
class Text:
    """A string; `pattern` must match all of it."""

    max_length: int | None = None
    pattern: str | None = None
    refusal: str = "Enter a valid value."
    blank: bool = False
    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        if not isinstance(value, str):
            return ["Not a valid string."]
        if not value and not self.blank:
            return ["This field may not be blank."]
        if self.max_length is not None and len(value) > self.max_length:
            return [f"Ensure this field has no more than {self.max_length} characters."]
        if self.pattern is not None and not re.fullmatch(self.pattern, value, re.ASCII):
            return [self.refusal]
        return None

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "string"}
        if not self.blank:
            schema["minLength"] = 1
        if self.max_length is not None:
            schema["maxLength"] = self.max_length
        if self.pattern is not None:
            schema["pattern"] = f"^(?:{self.pattern})$"
        return _or_null(schema, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some strings."""

    values: tuple[str, ...]
    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        return None if isinstance(value, str) and value in self.values else [f'"{value}" is not a valid choice.']

    def schema(self) -> dict[str, Any]:
        return _or_null({"type": "string", "enum": list(self.values)}, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number of at least `least`."""

    least: int
    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        # JSON knows no difference between 1 and 1.0.
        integral = isinstance(value, int) and not isinstance(value, bool)
        if not integral and not (isinstance(value, float) and value.is_integer()):
            return ["A valid integer is required."]
        return None if value >= self.least else [f"Ensure this value is greater than or equal to {self.least}."]

    def schema(self) -> dict[str, Any]:
        return _or_null({"type": "integer", "minimum": self.least}, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        return None if isinstance(value, bool) else ["Must be a valid boolean."]

    def schema(self) -> dict[str, Any]:
        return _or_null({"type": "boolean"}, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array."""

    item: Type
    least: int = 0
    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        if not isinstance(value, list):
            return {NON_FIELD: [f'Expected a list of items but got type "{_name(value)}".']}
        if len(value) < self.least:
            return {NON_FIELD: ["This list may not be empty."]}
        errors = {str(index): problem for index, item in enumerate(value) if (problem := _problems(self.item, item, where)) is not None}
        return errors or None

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {"type": "array", "items": self.item.schema()}
        if self.least:
            schema["minItems"] = self.least
        return _or_null(schema, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class MapOf:
    """An object with free keys and values of one type."""

    value: Type
    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        if not isinstance(value, dict):
            return _not_an_object(value)
        errors = {key: problem for key, item in value.items() if (problem := _problems(self.value, item, where)) is not None}
        return errors or None

    def schema(self) -> dict[str, Any]:
        return _or_null({"type": "object", "additionalProperties": self.value.schema()}, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class Anything:
    """An object whose contents belong to somebody else (a transcription provider's own settings)."""

    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        return None if isinstance(value, dict) else _not_an_object(value)

    def schema(self) -> dict[str, Any]:
        return _or_null({"type": "object"}, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class Need:
    """`field` (when given and not null, and equal to `when` if that is set) needs `other` to have `value`."""

    field: str
    other: str
    value: str
    when: str | None = None

    def applies(self, value: Mapping[str, Any]) -> bool:
        content = value.get(self.field)
        return content is not None if self.when is None else content == self.when

    def problems(self, value: Mapping[str, Any]) -> dict[str, Any]:
        if not self.applies(value) or value.get(self.other) == self.value:
            return {}
        return {self.field: [f"This requires `{self.other}` to be {self.value!r}."]}

    def schema(self) -> dict[str, Any]:
        free = {"type": "null"} if self.when is None else {"not": {"const": self.when}}
        return {
            "anyOf": [
                {"properties": {self.field: free}},
                {"required": [self.other], "properties": {self.other: {"const": self.value}}},
            ]
        }


@dataclass(frozen=True, slots=True)
class NotBeside:
    """Where `field` is given and not null, nothing may stand at `path`; `text` says why."""

    field: str
    path: tuple[str, ...]
    text: str

    def problems(self, value: Mapping[str, Any]) -> dict[str, Any]:
        inner: Any = value
        for name in self.path:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if value.get(self.field) is None or inner is None:
            return {}
        errors: Any = [self.text]
        for name in reversed(self.path):
            errors = {name: errors}
        return errors

    def schema(self) -> dict[str, Any]:
        without: Any = False
        for name in reversed(self.path):
            without = {"properties": {name: without}}
        return {"anyOf": [{"properties": {self.field: {"type": "null"}}}, without]}


@dataclass(frozen=True, slots=True)
class Record:
    """An object with known fields; unknown ones are refused, as Recall does since v1.11. `one_of`: exactly one of these is not null."""

    fields: Mapping[str, Type]
    required: frozenset[str] = frozenset()
    one_of: Sequence[str] = ()
    needs: Sequence[Need | NotBeside] = ()
    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        if not isinstance(value, dict):
            return _not_an_object(value)
        return self._of_fields(value, where) or self._of_all(value) or None

    def _of_fields(self, value: dict[str, Any], where: RequestContext) -> dict[str, Any]:
        not_allowed = [NOT_ALLOWED.format(operation=where.operation, region=where.region)]
        errors: dict[str, Any] = dict.fromkeys(value.keys() - self.fields.keys(), not_allowed)
        for name, kind in self.fields.items():
            if name in value:
                problem = _problems(kind, value[name], where)
                if problem is not None:
                    errors[name] = problem
            elif name in self.required:
                errors[name] = [REQUIRED]
        return errors

    def _of_all(self, value: dict[str, Any]) -> dict[str, Any]:
        """What is wrong with fields that are right one by one."""
        errors: dict[str, Any] = {}
        if self.one_of and sum(value.get(name) is not None for name in self.one_of) != 1:
            return {NON_FIELD: [f"Exactly one of {', '.join(f'`{name}`' for name in self.one_of)} must be given."]}
        for need in self.needs:
            errors |= need.problems(value)
        return errors

    def schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: kind.schema() for name, kind in self.fields.items()},
            "additionalProperties": False,
        }
        if self.required:
            schema["required"] = sorted(self.required)
        if self.one_of:
            schema["oneOf"] = [
                {
                    "required": [name],
                    "properties": {name: _not_null(self.fields[name]), **{o: {"type": "null"} for o in self.one_of if o != name}},
                }
                for name in self.one_of
            ]
        if self.needs:
            schema["allOf"] = [need.schema() for need in self.needs]
        return _or_null(schema, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class Variant:
    """An object whose field `tag` says which record it is; each option's record has the tag as a one-valued Choice."""

    tag: str
    options: Mapping[str, Record]
    nullable: bool = False

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        if not isinstance(value, dict):
            return _not_an_object(value)
        if self.tag not in value:
            return {self.tag: [REQUIRED]}
        tag = value[self.tag]
        if not isinstance(tag, str) or tag not in self.options:
            return {self.tag: [NULL] if tag is None else [f'"{tag}" is not a valid choice.']}
        return self.options[tag].problems(value, where)

    def schema(self) -> dict[str, Any]:
        return _or_null({"oneOf": [option.schema() for option in self.options.values()]}, nullable=self.nullable)


@dataclass(frozen=True, slots=True)
class OneKey:
    """An object with exactly one key out of several, such as `provider: {meeting_captions: {}}`."""

    options: Mapping[str, Type]
    nullable: bool = False
    text: str = "Exactly one provider must be given."

    def problems(self, value: Any, where: RequestContext) -> Problems | None:
        if not isinstance(value, dict):
            return _not_an_object(value)
        unknown = [key for key in value if key not in self.options]
        if unknown:
            return {key: [NOT_ALLOWED.format(operation=where.operation, region=where.region)] for key in unknown}
        if len(value) != 1:
            return {NON_FIELD: [self.text]}
        ((key, inner),) = value.items()
        problem = _problems(self.options[key], inner, where)
        return None if problem is None else {key: problem}

    def schema(self) -> dict[str, Any]:
        return _or_null(
            {
                "type": "object",
                "properties": {name: kind.schema() for name, kind in self.options.items()},
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
            nullable=self.nullable,
        )


def problems(kind: Type, value: Any, where: RequestContext) -> dict[str, Any] | None:
    """Judge a whole body: None, or the JSON object of a 400."""
    errors = _problems(kind, value, where)
    return {NON_FIELD: errors} if isinstance(errors, list) else errors


def is_uuid(text: str) -> bool:
    """Whether a text is a UUID in its canonical form."""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def _problems(kind: Type, value: Any, where: RequestContext) -> Problems | None:
    if value is None:
        return None if kind.nullable else [NULL]
    return kind.problems(value, where)


def _not_null(kind: Type) -> dict[str, Any]:
    schema = kind.schema()
    return schema["anyOf"][0] if "anyOf" in schema and kind.nullable else schema


def _not_an_object(value: Any) -> Problems:
    return {NON_FIELD: [f"Invalid data. Expected a dictionary, but got {_name(value)}."]}


def _name(value: Any) -> str:
    return {dict: "dict", list: "list", str: "str", bool: "bool", int: "int", float: "float"}.get(type(value), "NoneType")
