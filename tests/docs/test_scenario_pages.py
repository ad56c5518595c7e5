"""docs/scenarios.md and docs/media.md: generated parts are current, examples run, every switch is named."""

import dataclasses
import re
from pathlib import Path

import pytest

from rtms_simulator.scenario import ScenarioError, parse
from rtms_simulator.zoom.media import MediaSwitches
from rtms_simulator.zoom.media.recording import MEDIA_SUFFIXES
from rtms_simulator.zoom.media.transcripts import TRANSCRIPT_SUFFIXES

PAGES = {name: Path(__file__).parents[2] / "docs" / name for name in ("scenarios.md", "media.md")}
TEXT = {name: path.read_text(encoding="utf-8") for name, path in PAGES.items()}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT[page], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", list(PAGES))
def test_the_python_examples_run(page):
    examples = blocks(page, "python")
    assert examples
    for example in examples:
        exec(compile(example, page, "exec"), {})


def test_the_toml_example_is_a_scenario_and_its_mistake_reads_as_shown():
    example, by_hand = blocks("scenarios.md", "toml")
    assert parse(by_hand).auto_start is False
    assert [person.invited for person in parse(by_hand).people] == [True, False]
    assert [said.who.name for said in parse(example).utterances()] == ["Ada", "Zoë"]
    (shown,) = re.findall(r"^    (my-meeting\.toml:\d+: .*)$", TEXT["scenarios.md"], re.MULTILINE)
    with pytest.raises(ScenarioError) as caught:
        parse(example.replace('kind = "fail_over" }', 'kind = "leave", who = "Zoe" }'), file="my-meeting.toml")
    assert str(caught.value) == shown


def test_every_switch_and_every_kind_of_file_is_named():
    names = [*(field.name for field in dataclasses.fields(MediaSwitches)), *MEDIA_SUFFIXES, *TRANSCRIPT_SUFFIXES]
    assert len(names) > len(MEDIA_SUFFIXES + TRANSCRIPT_SUFFIXES) > 0
    assert [name for name in names if f"`{name}`" not in TEXT["media.md"]] == []
