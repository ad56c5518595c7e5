"""Citations of evidence lead to a section that exists, and nothing cites a document that is not in the repository."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs/evidence").glob("*.md")}
SECTION = re.compile(r"^#{2,3} ([A-Z][0-9]*)\. ", re.MULTILINE)
ANCHOR = re.compile(r"^#+ (.+)$", re.MULTILINE)
PLACE = r"[A-J][0-9]{0,2}(?![A-Za-z0-9])"
CITED = re.compile(rf"evidence/(\w+\.md) ({PLACE}(?:(?:, | and |-){PLACE})*)")
LINKED = re.compile(r"(?:evidence/|\()(recall\.md|zoom\.md|google\.md|README\.md)#([\w-]+)")
OUTSIDE = (
    (re.compile(r"\bdesign\.md\b"), "the design is no page of the repository"),
    (re.compile(r"\bzoom-rtms\.md\b|\bquickstart\.md\b|\bgcp-pulumi\.md\b|\bnews-20\d\d"), "a reference page of the authors"),
    (re.compile(r"\bstructure\.md\b|\bprovider\.md\b|\bnewcomer\.md\b|\bfindings/"), "findings of the authors"),
    (re.compile(r"\breferences? [A-J](?:\.?[0-9]|\b)"), "write docs/evidence/PAGE.md and the section"),
    (re.compile(r"/work/|\.\./shared"), "a path of the authors' machine"),
)
TEXTS = (".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".mjs", ".txt", "")


def texts() -> Iterator[tuple[str, str]]:
    """Every text file of the repository but this one."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix in TEXTS and path != Path(__file__) and path.is_file():
            yield name, path.read_text(encoding="utf-8", errors="replace")


def dangling(text: str) -> list[str]:
    """Citations in a text that lead to no page or section."""
    problems = []
    for page, places in CITED.findall(text):
        sections = set(SECTION.findall(PAGES.get(page, "")))
        problems += [f"{page} has no section {place}" for place in re.findall(PLACE, places) if place not in sections]
    for page, anchor in LINKED.findall(text):
        anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in ANCHOR.findall(PAGES[page])}
        problems += [] if anchor in anchors else [f"{page} has no heading #{anchor}"]
    return problems


def outside(text: str) -> list[str]:
    """What a text says of documents that a reader does not have."""
    return [f"{found[0]}: {why}" for pattern, why in OUTSIDE for found in pattern.finditer(text)]


def test_every_citation_leads_to_a_section_and_to_no_document_outside() -> None:
    problems = [f"{name}: {problem}" for name, text in texts() for problem in (*dangling(text), *outside(text))]
    assert problems == []


def test_evidence_is_cited_at_all() -> None:
    cited = [page for name, text in texts() if name.startswith("simulator/") for page, _ in CITED.findall(text)]
    assert len(cited) >= 30
    assert {"recall.md", "zoom.md"} <= set(cited)


@pytest.mark.parametrize(
    "text",
    [
        "docs/evidence/recall.md J9",
        "docs/evidence/recall.md B3, B99",
        "docs/evidence/other.md A1",
        "[labels](evidence/README.md#lables)",
        "see design.md 6",
        "(reference B5)",
        "(reference C.6)",
        "(Zoom webhooks doc; reference A, B)",
        "../shared/findings/x",
    ],
)
def test_the_test_finds_what_leads_nowhere(text: str) -> None:
    assert dangling(text) + outside(text)


def test_a_citation_that_is_right_is_no_problem() -> None:
    assert dangling("docs/evidence/recall.md B3, B1 and docs/evidence/zoom.md C6") == []
