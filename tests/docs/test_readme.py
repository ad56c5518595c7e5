"""README.md and the pages of docs/: every command in them exists with those options, every target and every linked page is there."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rtms_simulator.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
CUT = {"|", "||", "&&", ";", "&", ">", ">>", "<", "2>"}


def shell_lines(text: str) -> Iterator[str]:
    """The lines of every fenced shell block, continued lines joined, prompts taken off."""
    for block in re.findall(r"^```(?:sh|bash|shell|console)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            yield line.strip().removeprefix("$ ")


def commands(text: str, program: str) -> list[list[str]]:
    """The arguments of each call of `program` in the shell blocks."""
    found = []
    for line in shell_lines(text):
        words = shlex.split(line, comments=True) if not line.startswith("#") else []
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        while words:
            part = words[: next((n for n, word in enumerate(words) if word in CUT), len(words))]
            if part and part[0].rpartition("/")[2] == program:
                found.append(part[1:])
            words = words[len(part) + 1 :]
    return found


def cases(program: str) -> list:
    return [
        pytest.param(arguments, id=f"{page.relative_to(ROOT)}: {' '.join(arguments)[:60]}")
        for page in PAGES
        for arguments in commands(page.read_text(), program)
    ]


@pytest.mark.parametrize("arguments", cases("rtmskit"))
def test_each_rtmskit_command_can_be_called_like_that(arguments, monkeypatch):
    monkeypatch.setattr(click.Command, "invoke", lambda _self, _context: None)
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output


def there(words: str) -> bool:
    """Whether `rtmskit WORDS` names a command."""
    name, _, rest = words.partition(" ")
    command = cli.get_command(click.Context(cli), name)
    if not rest or not isinstance(command, click.Group):
        return command is not None
    return command.get_command(click.Context(command), rest) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_rtmskit_command_in_a_sentence_is_there(page):
    named = re.findall(r"`rtmskit ([a-z][a-z-]*(?: [a-z][a-z-]*)?)", page.read_text())
    assert [words for words in named if not there(words)] == []


@pytest.mark.parametrize("arguments", cases("make"))
def test_each_make_target_is_there(arguments):
    assert {word for word in arguments if "=" not in word and not word.startswith("-")} <= TARGETS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page):
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()) if not re.match(r"[a-z]+:|#", link)]
    assert [link for link in links if not (page.parent / link.partition("#")[0]).exists()] == []
    assert links or page.name != "README.md" or page.parent == ROOT


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def in_the_repository(text: str) -> list[str]:
    """The path and anchor of each link to the repository; the links stand at the end of the text, by name."""
    url = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    return re.findall(rf"^\[[^\]]+\]: {re.escape(url)}/(?:blob|tree)/main/(\S+)$", text, re.MULTILINE)


def test_the_readme_has_absolute_links_which_work_on_a_package_index_too_and_lead_to_files():
    text = (ROOT / "README.md").read_text()
    assert re.findall(r"\]\((?!https://)([^)]*)\)", text) == []
    links = in_the_repository(text)
    assert len(links) > 15
    named = set(re.findall(r"^\[([^\]]+)\]: ", text, re.MULTILINE))
    assert set(re.findall(r"\]\[([^\]]+)\]", text)) <= named
    assert {name for name in named if f"[{name}]" not in text.replace(f"[{name}]: ", "")} == set()
    for link in links:
        path, _, anchor = link.partition("#")
        assert (ROOT / path).exists(), link
        assert not anchor or anchor in anchors((ROOT / path).read_text()), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_heading_leads_to_one(page):
    links = re.findall(r"\]\(([^)\s:]*)#([^)\s]+)\)", page.read_text())
    targets = [(page.parent / path if path else page, anchor) for path, anchor in links if not path or path.endswith(".md")]
    assert [f"{path.name}#{anchor}" for path, anchor in targets if anchor not in anchors(path.read_text())] == []


def test_the_reader_of_shell_blocks_sees_what_it_should():
    text = "```sh\n$ A=1 .venv/bin/rtmskit send x \\\n  --json | jq . # so\nmake demo && rtmskit up\n```\n```python\nrtmskit no\n```\n"
    assert commands(text, "rtmskit") == [["send", "x", "--json"], ["up"]]
    assert commands(text, "make") == [["demo"]]
