"""Wrong words on the command line: one line that says what is wrong and what is allowed, and one that says what to do.

click itself prints the usage, a hint and an error on three to five lines, and what is allowed for some errors only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

import click
from click.exceptions import NoArgsIsHelpError


class BadUsage(click.ClickException):
    """The caller must write the command otherwise. `advice` is how."""

    exit_code = 2

    def __init__(self, message: str, advice: str) -> None:
        self.advice = advice
        super().__init__(message)

    def show(self, file: Any = None) -> None:
        click.echo(f"Error: {self.message}", err=True)
        click.echo(f"Do: {self.advice}", err=True)


def explained(error: click.UsageError) -> BadUsage:
    """What click found wrong, as every other error of ours is written."""
    context = error.ctx
    if context is None:
        return BadUsage(_one_line(error.format_message()), "the command with --help says what it takes.")
    path, command = context.command_path, context.command
    of_parameters = isinstance(error, click.NoSuchOption | click.BadParameter | click.BadOptionUsage | click.BadArgumentUsage)
    if isinstance(command, click.Group) and not of_parameters:
        return _without_command(error, path, command.list_commands(context))
    usage = " ".join(command.collect_usage_pieces(context))
    advice = f"write `{path}{' ' if usage else ''}{usage}`; `{path} --help` explains it."
    if isinstance(error, click.NoSuchOption):
        return BadUsage(_no_option(error.option_name, command, context), advice)
    return BadUsage(f"{_one_line(error.format_message())}{_range(error)}", advice)


def _range(error: click.UsageError) -> str:
    """What a number of the parameter may be: click says so only of a number that is out of range."""
    type_ = error.param.type if isinstance(error, click.BadParameter) and error.param is not None else None
    if not isinstance(type_, click.IntRange | click.FloatRange) or "range x" in error.message or type_.min is None:
        return ""
    number = "whole number" if isinstance(type_, click.IntRange) else "number"
    return (
        f" (allowed: a {number} of at least {type_.min:g})"
        if type_.max is None
        else f" (allowed: a {number} from {type_.min:g} to {type_.max:g})"
    )


def _without_command(error: click.UsageError, path: str, commands: Iterable[str]) -> BadUsage:
    """A group that was given no command, or one that it does not have."""
    known = list(commands)
    if isinstance(error, NoArgsIsHelpError):
        return BadUsage(f"`{path}` needs a command (allowed: {', '.join(known)})", f"`{path} --help` says what each does.")
    match = re.search(r"['\"](.*?)['\"]", error.message, re.DOTALL)
    name = getattr(error, "command_name", match[1] if match else "")  # the attribute is of click 8.4
    close = difflib.get_close_matches(name, known, n=1)
    advice = f"did you mean `{path} {close[0]}`?" if close else f"`{path} --help` lists the commands."
    return BadUsage(f"there is no command {_one_line(repr(name))} (allowed: {', '.join(known)})", advice)


def _no_option(name: str, command: click.Command, context: click.Context) -> str:
    known = sorted({option for parameter in command.get_params(context) for option in parameter.opts if option.startswith("--")})
    close = difflib.get_close_matches(name, known, n=1)
    near = f"did you mean {close[0]}? " if close else ""
    return f"there is no option {_one_line(repr(name))} ({near}allowed: {', '.join(known)})"


def _one_line(text: str) -> str:
    """Without line breaks and control characters, which may stand in what the caller wrote."""
    words = " ".join(text.split()).removesuffix(".")
    line = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in words)
    return line[:1].lower() + line[1:]
