"""Constant time by construction: in the deployed code no digest and no secret meets any comparison but hmac.compare_digest."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

FUNCTION = Path(__file__).parents[2] / "function"
FILES = sorted(FUNCTION.rglob("*.py"))
SENSITIVE = re.compile(r"sign(?!ed|al|atures?_header)|digest|hmac|secret|\bgiven\b|theirs|expected|matches|api_key|token", re.IGNORECASE)
ALLOWED = {
    # What is compared is whether something verified, or whether a header is there; nothing that an attacker could narrow down.
    "True not in matches",
    "name == SIGNATURE_HEADER",
    "'x-zm-signature' in request.headers",
    "f'{f}-signature' in named",
    "name.lower() in (SIGNATURE_HEADER, TIMESTAMP_HEADER)",
    # Settings, once, at the start of the process.
    "read['zoom_secret_token'] == read['zoom_secret_token_previous']",
    # The checksum of an archived file, which its owner may read.
    "_measure(partial) != expected",
}


def comparisons(source: str) -> Iterator[str]:
    """Every comparison in a source whose operands have to do with a secret, as text."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare) and not _is_harmless(node) and any(SENSITIVE.search(ast.unparse(o)) for o in _operands(node)):
            yield ast.unparse(node)


def _operands(node: ast.Compare) -> list[ast.expr]:
    return [node.left, *node.comparators]


def _is_harmless(node: ast.Compare) -> bool:
    """Against None or a text in the source, or of a length: it tells nothing of a secret's value."""
    fixed = all(isinstance(leaf, ast.Constant) for right in node.comparators for leaf in getattr(right, "elts", [right]))
    lengths = [isinstance(o, ast.Call) and isinstance(o.func, ast.Name) and o.func.id == "len" for o in _operands(node)]
    return fixed or any(lengths)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(FUNCTION)))
def test_nothing_secret_is_compared_but_by_compare_digest(file: Path) -> None:
    assert set(comparisons(file.read_text())) - ALLOWED == set()


@pytest.mark.parametrize("module", ["zoom.py", "recall.py"])
def test_every_secret_is_tried_whichever_matches(module: str) -> None:
    """compare_digest stands in a list comprehension, not in a loop or an any() that ends at the first match."""
    tree = ast.parse((FUNCTION / "rtms_relay" / module).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "compare_digest"]
    lists = [node for node in ast.walk(tree) if isinstance(node, ast.ListComp)]
    inside = [node for one in lists for node in ast.walk(one) if isinstance(node, ast.Attribute) and node.attr == "compare_digest"]
    assert len(calls) == len(inside) == 1


@pytest.mark.parametrize(
    "source",
    [
        "if signature == expected: pass",
        "ok = hmac.new(key, body).hexdigest() == header",
        "return secret in known",
        "if given != ours: raise Refused",
    ],
)
def test_the_rule_sees_what_it_forbids(source: str) -> None:
    assert set(comparisons(source.replace("return", "x ="))) - ALLOWED
