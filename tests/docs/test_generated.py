"""The generated parts of docs/ are what the code says, and the pages hold no generator's code, so that they read well as they are."""

import inspect
import re
from pathlib import Path

import pytest
from cogapp import Cog
from tests.docs import tables

ROOT = Path(__file__).parents[2]
PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if "<!--=" in page.read_text()]
OPTIONS = ["-P", "-I", str(ROOT), "-p", "from tests.docs.tables import *", "--markers=<!--= =--> <!--/-->"]


def cog(page: Path, *options: str) -> int:
    return Cog().main(["cog", *options, *OPTIONS, str(page)])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_generated_part_is_what_the_code_says(page, capsys):
    assert cog(page, "--check") == 0, f"{page.name} is out of date; `make docs` writes it again\n{capsys.readouterr().out}"


def test_a_part_that_is_out_of_date_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!--= settings() =-->\n| variable |\n<!--/-->\n")
    assert cog(page, "--check") != 0


def test_every_table_is_on_one_page():
    named = [name for page in PAGES for name in re.findall(r"<!--= (\w+)\(\) =-->", page.read_text())]
    public = [
        name
        for name, value in inspect.getmembers(tables, inspect.isfunction)
        if value.__module__ == tables.__name__ and not name.startswith("_")
    ]
    assert sorted(named) == sorted(public)


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))], ids=lambda page: page.stem)
def test_no_page_holds_code_that_writes_it_or_a_table_cut_in_two(page):
    text = page.read_text()
    assert "[[[" not in text
    assert not re.search(r"^\|[-| :]+\|\n(?!\|)", text, re.MULTILINE), "something stands between the head of a table and its rows"
