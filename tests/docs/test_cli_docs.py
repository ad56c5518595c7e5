"""docs/cli.md says what the command line does, and nothing is left out."""

import re
from pathlib import Path

import rtms_simulator.cli
from rtms_simulator.cli import COMMANDS
from rtms_simulator.cli.play import outcome

PAGE = Path(__file__).parents[2] / "docs/cli.md"


def test_every_command_has_a_section():
    assert set(COMMANDS) <= set(re.findall(r"^## rtmskit (\S+)$", PAGE.read_text(), re.MULTILINE))


def test_every_exit_code_is_on_the_page_and_in_the_module():
    codes = {kind.exit_code for kind in (outcome.Failed, outcome.BadInput, outcome.Nobody)} | {0, 130, 143}
    page = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", PAGE.read_text(), re.MULTILINE) for code in row.split(",")}
    module = {int(code) for code in re.findall(r"^ {4}(\d+) ", rtms_simulator.cli.__doc__ or "", re.MULTILINE)} | {143}
    assert codes == page == module


def test_the_commands_of_the_plain_package_are_those_that_need_no_extra():
    sentence = re.search(r"^`pip install rtmskit` alone has (.*?);", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert sentence is not None
    assert re.findall(r"`([a-z-]+)`", sentence[1]) == [name for name, row in COMMANDS.items() if not row.extra]
