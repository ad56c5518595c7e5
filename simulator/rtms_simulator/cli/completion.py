"""Completion of values in bash, zsh and fish, and the command that prints the script for a shell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import click
from click.shell_completion import CompletionItem, add_completion_class, get_completion_class

from rtms_simulator.cli.bash_completion import BashLine

SHELLS = ("bash", "zsh", "fish")
ARTIFACTS = ("video_mixed", "audio_mixed", "transcript", "participant_events", "meeting_metadata")
Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _completer(values: Callable[[], Iterable[str]]) -> Completer:
    def complete(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(value) for value in values() if value.startswith(incomplete)]

    return complete


def _scenarios() -> Iterable[str]:
    from rtms_simulator.scenario import names

    return names()


def _events() -> Iterable[str]:
    from rtms_simulator.zoom.webhooks.events import EVENTS

    return EVENTS


def _switches() -> Iterable[str]:
    from rtms_simulator.kit.control.defaults import default_switches

    return [f"{row.name}=" for row in default_switches()]


def faults(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Faults: step by step once the target is there."""
    from rtms_simulator.faults.continued import continuations

    return [CompletionItem(text) for text in continuations(incomplete)]


def scenario_or_file(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Built-in scenarios, and files."""
    items = scenarios(context, parameter, incomplete)
    return items or [CompletionItem(incomplete, type="file")]


scenarios = _completer(_scenarios)
events = _completer(_events)
switches = _completer(_switches)
artifacts = _completer(lambda: ARTIFACTS)


add_completion_class(BashLine)


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands and values in a shell.

    bash: eval "$(rtmskit completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc; fish: rtmskit completion fish | source.
    """
    from rtms_simulator.cli import cli

    made = get_completion_class(shell)
    assert made is not None
    click.echo(made(cli, {}, "rtmskit", "_RTMSKIT_COMPLETE").source())
