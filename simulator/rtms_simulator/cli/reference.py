"""The command line as Markdown: docs/cli.md is made from this, so that nothing undocumented can be called."""

from __future__ import annotations

from collections.abc import Iterator

import click

from rtms_simulator.cli import COMMANDS, cli


def markdown() -> str:
    """Every command with its usage, what it does and its options, in the order of `COMMANDS`."""
    root = click.Context(cli, info_name="rtmskit")
    parts: list[str] = []
    for name in COMMANDS:
        command = cli.get_command(root, name)
        assert command is not None
        for context in _walk(command, click.Context(command, info_name=name, parent=root)):
            parts.append(_section(context))
    return "\n".join(parts)


def _walk(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _walk(inner, click.Context(inner, info_name=name, parent=context))


def _section(context: click.Context) -> str:
    command = context.command
    lines = [f"## {context.command_path}" if context.parent and context.parent.parent is None else f"### {context.command_path}", ""]
    lines += ["```text", command.get_usage(context).removeprefix("Usage: "), "```", ""]
    lines += [_text(command.help or ""), ""]
    # An argument is in the usage and in the text; click has a row for it, without a word, from 8.5 on.
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    rows = [record for one in options if (record := one.get_help_record(context)) and "--help" not in record[0]]
    if rows:
        lines += ["| option | meaning |", "| --- | --- |"]
        lines += [f"| `{_cell(head)}` | {_cell(_text(text))} |" for head, text in rows]
        lines.append("")
    return "\n".join(lines)


def _text(text: str) -> str:
    """Help text without the line breaks of its source; paragraphs stay."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.replace("\b", "").strip().split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
