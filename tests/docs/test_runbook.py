"""The runbook has a section for every state a hand-off and its recording can have, and for every reason that the code can give."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from tests.docs.reasons import reasons

from rtms_relay.handoff import attempt, erasure, retrieval
from rtms_simulator.cli.records import handoff_words
from rtms_simulator.cli.records.handoff_words import BY_RECORDING, BY_STATE, NOT_JOINED

PAGE = Path(__file__).parents[2] / "docs/runbook.md"
SECTIONS = {
    parts[0].strip(): parts[2]
    for parts in (text.partition("\n") for text in re.split(r"^#{1,3} ", PAGE.read_text(), flags=re.MULTILINE)[1:])
}
REASONS = [
    text.partition("\n")
    for text in re.split(r"^### ", PAGE.read_text().partition("## Reasons\n")[2].partition("\n# ")[0], flags=re.MULTILINE)[1:]
]


def test_every_final_state_has_its_section_and_its_meaning_on_the_command_line() -> None:
    states = set(get_args(attempt.State))
    recordings = (set(get_args(retrieval.State)) | set(get_args(erasure.State))) - {"none"}
    assert set(BY_STATE) == states
    assert set(BY_RECORDING) == recordings
    expected = {f"state-{state}" for state in states} | {f"recording-{state}" for state in recordings} | {"not-joined", "not-on-record"}
    assert expected <= set(SECTIONS)
    assert {name for name in SECTIONS if name.startswith(("state-", "recording-"))} <= expected | {"recording-lost"}


@pytest.mark.parametrize("name", [name for name in SECTIONS if re.match(r"state-|recording-|not-joined", name)])
def test_every_state_says_what_it_means_and_what_to_do(name: str) -> None:
    assert "**Means:**" in SECTIONS[name]
    assert "**Do:**" in SECTIONS[name]


@pytest.mark.parametrize("meaning", [*BY_STATE.values(), *BY_RECORDING.values(), NOT_JOINED], ids=lambda meaning: meaning.section)
def test_the_command_line_names_sections_that_are_there(meaning: handoff_words.Meaning) -> None:
    assert meaning.section in SECTIONS


@pytest.mark.parametrize("text", sorted(reasons()))
def test_every_reason_of_the_code_is_in_one_section_that_says_what_to_do(text: str) -> None:
    where = [title for title, _, body in REASONS if f"- `{text}`" in body.splitlines()]
    assert len(where) == 1, f"{reasons()[text]} gives the reason {text!r}: docs/runbook.md, Reasons, lists it {len(where)} times"


@pytest.mark.parametrize(("title", "body"), [(title, body) for title, _, body in REASONS])
def test_every_section_of_reasons_is_of_the_code_and_says_what_to_do(title: str, body: str) -> None:
    listed = re.findall(r"^- `(.+)`$", body, re.MULTILINE)
    assert listed
    assert set(listed) <= set(reasons()), title
    assert "**Means:**" in body
    assert "**Do:**" in body


def test_every_link_within_the_page_leads_to_a_heading() -> None:
    anchors = {re.sub(r"[^a-z0-9_ -]", "", title.lower()).replace(" ", "-") for title in SECTIONS}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE.read_text()))
    assert len(links) > 15
    assert links <= anchors
