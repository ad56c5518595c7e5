"""docs/README.md is the one list of pages: the site's navigation comes from it. (`.github/workflows/ci.yml` builds the site.)"""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def hooks():
    spec = importlib.util.spec_from_file_location("site_hooks", DOCS / "site" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def paths(navigation) -> list[str]:
    if isinstance(navigation, str):
        return [navigation]
    parts = navigation.values() if isinstance(navigation, dict) else navigation
    return [path for part in parts for path in paths(part)]


def test_the_navigation_has_every_page_once(hooks):
    listed = paths(hooks.navigation((DOCS / "README.md").read_text()))
    assert sorted(listed) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_a_list_below_a_heading_is_a_section_of_the_navigation(hooks):
    text = "# All\n\n- [Not below a heading](x.md)\n\n## Try\n\nWords.\n\n- [The command line](cli.md): all\n- [Out](../README.md#top)\n"
    assert hooks.contents(text) == {"Try": [("The command line", "cli.md")]}
    assert hooks.navigation(text) == [{"Start": "README.md"}, {"Try": [{"The command line": "cli.md"}]}]


def test_the_readme_of_a_folder_brings_its_pages(hooks):
    entry = hooks.navigation("## How\n\n- [Decisions](decisions/README.md)\n")[1]["How"][0]["Decisions"]
    assert entry[0] == "decisions/README.md"
    assert "decisions/derived-keys.md" in entry[1:]


@pytest.mark.parametrize(
    ("page", "link", "leads_to"),
    [
        ("proof.md", "../tests/simulation/checker.py", "{}/blob/main/tests/simulation/checker.py"),
        ("evidence/zoom.md", "../../README.md#deploy", "{}/blob/main/README.md#deploy"),
        ("evidence/zoom.md", "../zoom-coverage.md", "../zoom-coverage.md"),
        ("proof.md", "chaos.md", "chaos.md"),
    ],
)
def test_a_link_that_leaves_the_docs_leads_to_the_repository(hooks, page, link, leads_to):
    assert hooks.outward(f"See [it]({link}).", page) == f"See [it]({leads_to.format(hooks.repository_url())})."
