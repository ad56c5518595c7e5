"""Whether Firestore can answer a query with the registered indexes. Pure.

Source: Firestore docs, "Index types" and "Index merging". Each field has indexes of its own in both directions unless it is exempted.
A query that narrows by some fields and sorts by others needs composite indexes that end in what is sorted, in that direction; several
of them are merged, as long as each begins with fields that the query compares with `=`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from google.cloud.firestore_v1.types import query

from rtms_infra.rehearsal.registered import Field, Index

_KEY = "__name__"
_EQUAL = query.StructuredQuery.FieldFilter.Operator.EQUAL
_DESCENDING = query.StructuredQuery.Direction.DESCENDING

Sorted = tuple[tuple[str, bool], ...]
"""(field, whether descending), in order."""


@dataclass(frozen=True, slots=True)
class Needs:
    """What a query asks of indexes: fields that it compares with `=`, and those that it sorts by or compares otherwise."""

    collection: str
    equal: frozenset[str]
    sorted: Sorted

    @classmethod
    def of(cls, structured_query: query.StructuredQuery) -> Needs:
        [source] = structured_query.from_
        orders = [(one.field.field_path, one.direction == _DESCENDING) for one in structured_query.order_by if one.field.field_path != _KEY]
        compared = [(path, operator) for path, operator in _compared(structured_query.where) if path != _KEY]
        named = {path for path, _ in orders}
        # Without an order of its own a field that is compared is sorted by, ascending.
        first = sorted({path for path, operator in compared if operator != _EQUAL} - named)
        equal = frozenset(path for path, operator in compared if operator == _EQUAL) - named - set(first)
        return cls(source.collection_id, equal, (*((path, False) for path in first), *orders))

    def __str__(self) -> str:
        return f"a query of {self.collection} by {', '.join(sorted(self.equal | {path for path, _ in self.sorted}))}"


@dataclass(frozen=True, slots=True)
class Indexes:
    """The registered indexes of one database: `fields` with an exemption, and composite ones."""

    fields: tuple[Field, ...]
    composite: tuple[Index, ...]

    def answers(self, needs: Needs) -> bool:
        """Whether there are indexes for this."""
        paths = needs.equal | {path for path, _ in needs.sorted}
        exempted = {one.field for one in self.fields if one.collection == needs.collection and one.index_config == {}}
        if (not needs.sorted or len(paths) == 1) and exempted.isdisjoint(paths):
            return True
        beginnings = list(self._beginnings(needs))
        return bool(beginnings) and needs.equal <= frozenset().union(*beginnings)

    def _beginnings(self, needs: Needs) -> Iterator[frozenset[str]]:
        """For each composite index that ends in what is sorted, and begins with fields that are compared with `=`: those."""
        for index in self.composite:
            order = tuple((one.field_path, one.order == "DESCENDING") for one in index.fields if one.field_path != _KEY)
            begins, ends = order[: len(order) - len(needs.sorted)], order[len(order) - len(needs.sorted) :]
            compared = frozenset(path for path, _ in begins)
            if index.collection == needs.collection and ends == needs.sorted and compared <= needs.equal:
                yield compared


def _compared(where: query.StructuredQuery.Filter) -> Iterator[tuple[str, int]]:
    """Each field that a filter compares, with the operator; 0 for one that is compared with null or NaN."""
    waiting = [where]
    while waiting:
        one = waiting.pop()
        if "composite_filter" in one:
            waiting += one.composite_filter.filters
        elif "field_filter" in one:
            yield one.field_filter.field.field_path, one.field_filter.op
        elif "unary_filter" in one:
            yield one.unary_filter.field.field_path, 0
