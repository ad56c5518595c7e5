"""The scenario format and the library as Markdown: the tables of docs/scenarios.md are made from this."""

from __future__ import annotations

from collections.abc import Iterable

from rtms_simulator.scenario import KINDS, PERSON_KEYS, SCENARIO_KEYS, ScenarioField, load, names
from rtms_simulator.scenario.languages import LANGUAGES


def keys() -> str:
    """The keys of a scenario and of a person."""
    return "\n".join((_table("key", SCENARIO_KEYS.items()), "", _table("key of a person", PERSON_KEYS.items())))


def kinds() -> str:
    """Every kind of action with its own keys."""
    rows = ["| kind | who | means | its own keys |", "| --- | --- | --- | --- |"]
    for name, kind in KINDS.items():
        fields = "<br>".join(f"`{key}`: {_allowed(key, field)}" for key, field in kind.fields.items())
        rows.append(f"| `{name}` | {'yes' if kind.who else ''} | {kind.says} | {fields} |")
    return "\n".join(rows)


def library() -> str:
    """Every scenario of the library."""
    rows = ["| name | product | lasts | what happens |", "| --- | --- | --- | --- |"]
    for name in names():
        scenario = load(name)
        rows.append(f"| `{name}` | {scenario.product} | {scenario.duration_s:g} s | {scenario.summary} |")
    return "\n".join(rows)


def languages() -> str:
    """Every name of a language."""
    return ", ".join(f"`{name}`" for name in LANGUAGES)


def _table(heading: str, fields: Iterable[tuple[str, ScenarioField]]) -> str:
    return "\n".join([f"| {heading} | allowed |", "| --- | --- |", *(f"| `{key}` | {_allowed(key, field)} |" for key, field in fields)])


def _allowed(key: str, field: ScenarioField) -> str:
    words = (
        field.says if key == "language" or not field.choices else f"{field.says}: " + ", ".join(f"`{choice}`" for choice in field.choices)
    )
    if field.required:
        return f"{words}; required"
    return f"{words}; default `{field.default}`" if field.default not in (None, "", ()) else words
