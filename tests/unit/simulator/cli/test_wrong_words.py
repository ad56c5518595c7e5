"""Every command with wrong words and with none: one line that says what is wrong and what is allowed, one that says what to do, code 2."""

from __future__ import annotations

import re

import click
import pytest
from click.testing import CliRunner, Result
from tests.unit.simulator.cli.every_command import ALL, GROUPS, LEAVES, WORKS, options, required, too_many

from rtms_simulator.cli import cli

ESCAPES = "no\n\x1b[31msuch"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words), catch_exceptions=False, prog_name="rtmskit")


def refused(*words: str) -> tuple[str, str]:
    """The line of the error and that of the next step."""
    done = run(*words)
    assert (done.exit_code, done.stdout) == (2, ""), done.output
    lines = done.stderr.splitlines()
    assert len(lines) == 2, done.stderr
    assert lines[0].startswith("Error: ")
    assert lines[1].startswith("Do: ")
    assert done.stderr.replace("\n", "").isprintable()
    return lines[0], lines[1]


def test_every_command_has_its_row():
    assert sorted(WORKS) == sorted(LEAVES)
    assert len(LEAVES) >= 36
    assert len(GROUPS) >= 10


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_without_a_command_names_those_that_it_has(name):
    error, do = refused(*name.split())
    commands = sorted(one.removeprefix(f"{name} ") for one in LEAVES if one.startswith(f"{name} "))
    assert f"`rtmskit {name}` needs a command (allowed: {', '.join(commands)})" in error
    assert f"`rtmskit {name} --help`" in do


@pytest.mark.parametrize("name", ["", *GROUPS])
def test_an_unknown_command_says_which_there_are_and_which_may_be_meant(name):
    meant = next(one for one in LEAVES if one.startswith(name)).removeprefix(name).split()[0]
    path = f"rtmskit {name}".strip()
    error, do = refused(*name.split(), f"{meant}x")
    assert f"there is no command '{meant}x' (allowed: " in error
    assert meant in error.partition("allowed: ")[2]
    assert do == f"Do: did you mean `{path} {meant}`?"
    error, do = refused(*name.split(), "qqqqq")
    assert do == f"Do: `{path} --help` lists the commands."
    refused(*name.split(), ESCAPES)


OPTIONS_ARE_READ = [name for name in LEAVES if not ALL[name].context_settings.get("ignore_unknown_options")]
"""An id may begin with a dash, and `handoffs find` takes every id."""


@pytest.mark.parametrize("name", ["", *OPTIONS_ARE_READ, *GROUPS])
def test_an_unknown_option_says_which_there_are(name):
    error, do = refused(*name.split(), "--qqqqq")
    assert "there is no option '--qqqqq' (allowed: " in error
    for option in options(ALL[name]):
        long = [one for one in option.opts if one.startswith("--")]
        assert not long or long[0] in error
    assert f"`{f'rtmskit {name}'.strip()} --help`" in do
    refused(*name.split(), f"--{ESCAPES}")


@pytest.mark.parametrize("name", OPTIONS_ARE_READ)
def test_a_slip_in_an_option_says_which_is_meant(name):
    long = max((one for option in options(ALL[name]) for one in option.opts), key=len, default="--help")
    error, _ = refused(*name.split(), f"{long}x")
    assert f"did you mean {long}?" in error


@pytest.mark.parametrize("name", [one for one in LEAVES if required(ALL[one])])
def test_without_words_a_command_that_needs_some_says_which(name):
    error, do = refused(*name.split())
    assert "missing argument '" in error
    assert f"write `rtmskit {name} [OPTIONS]" in do


@pytest.mark.parametrize("name", [one for one in LEAVES if too_many(ALL[one])])
def test_a_word_too_many_is_named(name):
    error, do = refused(*name.split(), *too_many(ALL[name]) or ())
    assert "unexpected extra argument (surplus)" in error
    assert f"write `rtmskit {name} [OPTIONS]" in do
    refused(*name.split(), *too_many(ALL[name]) or (), ESCAPES)


TYPED = [
    (name, option)
    for name in LEAVES
    for option in options(ALL[name])
    if not option.is_flag and isinstance(option.type, click.Choice | click.types.IntParamType | click.types.FloatParamType)
]


@pytest.mark.parametrize(("name", "option"), TYPED, ids=[f"{name} {option.opts[0]}" for name, option in TYPED])
def test_a_value_of_another_type_or_out_of_range_says_what_is_allowed(name, option):
    arguments = (too_many(ALL[name]) or ["word", "surplus"])[:-1]
    error, _ = refused(*name.split(), *arguments, option.opts[0], "qqqqq")
    assert re.search(rf"invalid value for {' / '.join(map(repr, option.opts))}[^:]*(: 'RTMSKIT_\w+'\))?: 'qqqqq' is not", error)
    if isinstance(option.type, click.IntRange | click.FloatRange):
        assert "(allowed: a " in error
    if isinstance(option.type, click.Choice):
        assert all(choice in error for choice in option.type.choices)
    for bound, beyond in ((getattr(option.type, "min", None), -1), (getattr(option.type, "max", None), 1)):
        if bound is not None:
            error, _ = refused(*name.split(), *arguments, option.opts[0], str(bound + beyond))
            assert re.search(rf"is not in the range .*{bound:g}", error)


VALUED = [(name, option) for name in LEAVES for option in options(ALL[name]) if not option.is_flag]


@pytest.mark.parametrize(("name", "option"), VALUED, ids=[f"{name} {option.opts[0]}" for name, option in VALUED])
def test_an_option_without_its_value_is_named(name, option):
    error, _ = refused(*name.split(), option.opts[0])
    assert f"option '{option.opts[0]}' requires an argument" in error
