"""Every command that there is, found by walking the command line itself, and for each the words of a call that works.

`{...}` is filled in by the test: addresses, ids, files. A command without a row here fails the tests of all commands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import click

from rtms_simulator.cli import cli


def _walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    yield context.command_path.removeprefix("rtmskit").strip(), command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _walk(inner, click.Context(inner, info_name=name, parent=context))


ALL: Mapping[str, click.Command] = dict(_walk(cli, click.Context(cli, info_name="rtmskit")))
"""By its words, without `rtmskit`; the groups, too."""

GROUPS = [name for name, command in ALL.items() if name and isinstance(command, click.Group)]
LEAVES = [name for name, command in ALL.items() if not isinstance(command, click.Group)]

WORKS: Mapping[str, str] = {
    "demo": "--speed max",
    "up": "--no-function --up own/up.json --directory own",
    "meeting play": "{brief} --webhook {refusing} --secret-token s --client-id i --client-secret c --speed max",
    "media check": "{captions}",
    "scenarios list": "",
    "scenarios show": "one-to-one",
    "send": "meeting.rtms_started --webhook {receiver} --secret-token s",
    "events list": "",
    "events replay": "{delivery}",
    "events show": "{delivery}",
    "faults add": "'recall.list: 503'",
    "faults clear": "",
    "faults list": "",
    "requests list": "",
    "requests show": "1",
    "switches list": "",
    "switches set": "zoom.deadline_s=3",
    "clock advance": "0",
    "clock freeze": "--rate 1",
    "clock show": "",
    "reset": "--up {another}",
    "serve": "--port 0",
    "zoom-app": "",
    "ca help": "",
    "ca path": "",
    "doctor": "{receiver} --secret-token s --count 1",
    "handoffs find": "{handoff} --worker {worker}",
    "handoffs list": "--worker {worker}",
    "handoffs retry": "{handoff} --worker {worker}",
    "handoffs show": "{handoff} --worker {worker}",
    "recordings download": "{recording} --worker {files}",
    "recordings list": "--worker {worker}",
    "recordings show": "{handoff} --worker {worker}",
    "completion": "bash",
    "rehearse": "--drill meeting",
    "infra init": "project",
}
"""For each command words after it with which it works."""

LASTING = ("demo", "up", "serve", "rehearse")
"""They start processes and take seconds, or last until Ctrl-C; tests/e2e runs each to its end."""


def required(command: click.Command) -> list[click.Argument]:
    return [one for one in command.params if isinstance(one, click.Argument) and one.required]


def too_many(command: click.Command) -> list[str] | None:
    """More words than it takes; None if it takes any number."""
    arguments = [one for one in command.params if isinstance(one, click.Argument)]
    if any(one.nargs == -1 for one in arguments):
        return None
    return [*(_word(one) for one in arguments), "surplus"]


def _word(parameter: click.Parameter) -> str:
    """A word that the parameter's type takes."""
    if isinstance(parameter.type, click.Choice):
        return str(parameter.type.choices[0])
    if isinstance(parameter.type, click.IntRange):
        return str(parameter.type.min or 1)
    return "word"


def options(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option)]
