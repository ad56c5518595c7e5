"""The part of PromQL that the program's alert policies use. Anything else is an error, never an empty result.

Grammar: `or` binds least, then `and`/`unless`, comparisons (`bool` allowed), `+`/`-`, then `sum(increase(METRIC{label="text"}[3m]))`,
`vector(N)`, numbers, parentheses (Prometheus docs, "Operators"). Every vector here has one element without labels, or none.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Increase = Callable[[str, Mapping[str, str], float], float | None]
"""(metric, labels, window in seconds) -> the increase of all series with those labels, None if there is no point."""

_TOKEN = re.compile(r'\s*(?:([A-Za-z_][\w:]*)|(\d+(?:\.\d+)?)([smhd])?|(>=|<=|==|!=|[()\[\]{},=><+-])|"((?:[^"\\]|\\.)*)")')
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_COMPARISONS = {">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "==": operator.eq, "!=": operator.ne}


class QueryError(Exception):
    """The query is not in the used part of the language."""


Node = Callable[[Increase], float | None]


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


class Query:
    """A query that was read. Raises `QueryError`."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at = text, _tokens(text), 0
        self._node = self._either()
        if self._at != len(self._tokens):
            raise self._unread()

    def value(self, increase: Increase) -> float | None:
        """The one element of the result, None if it is empty."""
        return self._node(increase)

    # Reading, one method for each level of precedence

    def _either(self) -> Node:
        left = self._both()
        while self._take("word", "or"):
            left = _or(left, self._both())
        return left

    def _both(self) -> Node:
        left = self._comparison()
        while (word := self._take("word", "and", "unless")) is not None:
            left = _and(left, self._comparison(), present=word == "and")
        return left

    def _comparison(self) -> Node:
        left = self._sum()
        while (sign := self._take("sign", *_COMPARISONS)) is not None:
            boolean = self._take("word", "bool") is not None
            left = _compared(left, self._sum(), _COMPARISONS[sign], boolean=boolean)
        return left

    def _sum(self) -> Node:
        left = self._one()
        while (sign := self._take("sign", "+", "-")) is not None:
            left = _added(left, self._one(), 1.0 if sign == "+" else -1.0)
        return left

    def _one(self) -> Node:
        if self._take("sign", "("):
            inner = self._either()
            self._need("sign", ")")
            return inner
        if (number := self._take("number")) is not None:
            return lambda _increase: float(number)
        word = self._need("word")
        self._need("sign", "(")
        if word == "vector":
            value = float(self._need("number"))
            self._need("sign", ")")
            return lambda _increase: value
        if word != "sum":
            raise QueryError(f"{word}(...) is not read here, in {self._text!r}")
        self._need("word", "increase")
        self._need("sign", "(")
        node = self._selector()
        self._need("sign", ")")
        self._need("sign", ")")
        return node

    def _selector(self) -> Node:
        metric, labels = self._need("word"), {}
        if self._take("sign", "{"):
            while True:
                label = self._need("word")
                self._need("sign", "=")
                labels[label] = self._need("text")
                if not self._take("sign", ","):
                    break
            self._need("sign", "}")
        self._need("sign", "[")
        window = self._need("duration")
        self._need("sign", "]")
        window_s = float(window[:-1]) * _UNITS[window[-1]]
        return lambda increase: increase(metric, labels, window_s)

    def _take(self, kind: str, *texts: str) -> str | None:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == kind and (not texts or token.text in texts):
                self._at += 1
                return token.text
        return None

    def _need(self, kind: str, *texts: str) -> str:
        taken = self._take(kind, *texts)
        if taken is None:
            raise self._unread()
        return taken

    def _unread(self) -> QueryError:
        rest = " ".join(token.text for token in self._tokens[self._at : self._at + 6]) or "its end"
        return QueryError(f"cannot read {self._text!r} from {rest!r} on")


def _tokens(text: str) -> list[_Token]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise QueryError(f"cannot read {text[at : at + 30]!r}")
        at = match.end()
        word, number, unit, sign, quoted = match.groups()
        if word is not None:
            tokens.append(_Token("word", word))
        elif number is not None:
            tokens.append(_Token("duration", number + unit) if unit else _Token("number", number))
        elif sign is not None:
            tokens.append(_Token("sign", sign))
        else:
            tokens.append(_Token("text", quoted))
    return tokens


def _or(left: Node, right: Node) -> Node:
    def value(increase: Increase) -> float | None:
        first = left(increase)
        return right(increase) if first is None else first

    return value


def _and(left: Node, right: Node, *, present: bool) -> Node:
    """`and` keeps the left side where the right one is not empty, `unless` where it is."""
    return lambda increase: left(increase) if (right(increase) is not None) == present else None


def _compared(left: Node, right: Node, compare: Callable[[float, float], bool], *, boolean: bool) -> Node:
    def value(increase: Increase) -> float | None:
        first, second = left(increase), right(increase)
        if first is None or second is None:
            return None
        if boolean:
            return float(compare(first, second))
        return first if compare(first, second) else None

    return value


def _added(left: Node, right: Node, sign: float) -> Node:
    def value(increase: Increase) -> float | None:
        first, second = left(increase), right(increase)
        return None if first is None or second is None else first + sign * second

    return value
