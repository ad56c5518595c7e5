"""The options that make fakes misbehave, or decide what documentation leaves open: of `up`, `demo` and `meeting play`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

from rtms_simulator.cli import completion

C = TypeVar("C", bound=Callable)
ALLOWED = "`rtmskit faults list` and `rtmskit switches list` show what there is."


def of_fakes(command: C) -> C:
    """`--fault` and `--set`: `faults` and `settings`, each a tuple of texts."""
    for option in (
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="SWITCH=VALUE",
            shell_complete=completion.switches,
            help="Such as zoom.close_code=1001 (`rtmskit switches list`).",
        ),
        click.option(
            "--fault",
            "faults",
            multiple=True,
            metavar="FAULT",
            shell_complete=completion.faults,
            help='Such as "recall.create: 503 x2 then ok" (`rtmskit faults list`).',
        ),
    ):
        command = option(command)
    return command
