"""Figures of interleaved rounds: a median with its spread, and whether a budget is met."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: a value for each round, in `unit`."""

    name: str
    unit: str
    values: Sequence[float]
    digits: int = 0

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def quantile(self, part: float) -> float:
        return quantile(self.values, part)

    def shown(self, value: float) -> str:
        return f"{value:,.{self.digits}f}"


@dataclass(frozen=True, slots=True)
class Budget:
    """A ratio that is to be `at least` or `at most` so much, judged by its median over the rounds."""

    name: str
    ratios: Sequence[float]
    sense: Literal["at least", "at most"]
    limit: float

    @property
    def figure(self) -> Figure:
        return Figure(self.name, "", self.ratios, digits=2)

    @property
    def met(self) -> bool:
        return self.figure.median >= self.limit if self.sense == "at least" else self.figure.median <= self.limit


@dataclass(slots=True)
class Report:
    """What one benchmark has to say; `notes` is told below the table."""

    title: str
    figures: list[Figure] = field(default_factory=list)
    budgets: list[Budget] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> str:
        def numbers(figure: Figure) -> dict[str, Any]:
            p10, p50, p90 = (round(value, 4) for value in (figure.quantile(0.1), figure.median, figure.quantile(0.9)))
            return {"name": figure.name, "unit": figure.unit, "median": p50, "p10": p10, "p90": p90, "rounds": len(figure.values)}

        budgets = [{**numbers(one.figure), "budget": f"{one.sense} {one.limit}", "met": one.met} for one in self.budgets]
        return json.dumps({"title": self.title, "figures": list(map(numbers, self.figures)), "budgets": budgets, "notes": self.notes})

    def as_text(self) -> str:
        rows = [("", "median", "p10..p90", "")]
        for figure in self.figures:
            rows.append((figure.name, figure.shown(figure.median), _spread(figure), figure.unit))
        for one in self.budgets:
            verdict = f"budget: {one.sense} {one.limit:.2f}, {'met' if one.met else 'MISSED'}"
            rows.append((one.name, one.figure.shown(one.figure.median), _spread(one.figure), verdict))
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [f"  {row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows]
        return "\n".join([self.title, *lines, *(f"  {note}" for note in self.notes)])


def quantile(values: Sequence[float], part: float) -> float:
    """The value that `part` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def turned(names: list[str], number: int) -> list[str]:
    """Forth in one round, back in the next."""
    return names[::-1] if number % 2 else names


def _spread(figure: Figure) -> str:
    return f"{figure.shown(figure.quantile(0.1))}..{figure.shown(figure.quantile(0.9))}"
