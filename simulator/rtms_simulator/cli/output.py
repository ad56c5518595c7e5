"""What a command prints: answers on stdout, as a table for people or one line of JSON; everything else on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

C = TypeVar("C", bound=Callable)
_FRAME = ("severity", "message", "time", "timestamp")


def as_json(command: C) -> C:
    """The option every command that answers something has."""
    return click.option("--json", "as_json", is_flag=True, help="Answer with one line of JSON on stdout.")(command)


def say_json(value: Any) -> None:
    """One line of JSON on stdout; Structs become objects."""
    click.echo(as_text(value))


def as_text(value: Any, indent: int = 0) -> str:
    """A value as JSON, on one line unless it is indented."""
    import msgspec

    try:
        text = msgspec.json.encode(value)
    except UnicodeEncodeError:  # the name of a folder that is not UTF-8: the standard library escapes what it cannot encode
        return json.dumps(msgspec.to_builtins(value), indent=indent or None)
    return (msgspec.json.format(text, indent=indent) if indent else text).decode()


def from_text(raw: str | bytes) -> Any:
    """What `as_text` or another program has written. Raises ValueError or RecursionError."""
    # With the standard library: msgspec does not read the escape of a lone surrogate, which the name of a folder may have.
    return json.loads(raw)


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    from rich.console import Console

    return Console().is_terminal


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A plain table on stdout, as wide as it needs to be when nobody looks (a pipe)."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(soft_wrap=False)
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        grid.add_column(head, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    if not console.is_terminal:
        console.width = 10_000
    console.print(grid)


def progress() -> Console:
    """Where a person watches: stderr, plain when it is not a terminal."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def log_line(who: str, line: str) -> None:
    """A line of a child process, on stderr: Google Cloud's JSON as `who SEVERITY message field=value`, anything else as it is."""
    try:
        entry = from_text(line)
    except ValueError:
        entry = None
    if not isinstance(entry, dict):
        click.echo(f"{who}: {line}", err=True)
        return
    facts = " ".join(f"{key}={_plain(value)}" for key, value in entry.items() if key not in _FRAME and "/" not in key)
    message = str(entry.get("message", ""))
    text = message if message.isprintable() else as_text(message)
    click.echo(f"{who}: {entry.get('severity', 'DEFAULT')!s:<8} {text}  {facts}".rstrip(), err=True)


def _plain(value: object) -> str:
    return value if isinstance(value, str) and value.isprintable() and " " not in value else as_text(value)
