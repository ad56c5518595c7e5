"""`rtmskit up` in this process, until all of it answers."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import click
import httpx
import pytest
from click.testing import CliRunner

from rtms_simulator.cli import cli
from rtms_simulator.kit.stack import Stack


def started_up(monkeypatch: pytest.MonkeyPatch, folder: Path, look: str, *argv: str) -> tuple[int, bytes]:
    """Run `up --no-function` with more arguments in this folder: its exit code, and what the control plane answered at the path `look`.

    Empty if it was refused before it answered.
    """
    seen: list[bytes] = []

    async def ended(stack: Stack) -> NoReturn:
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {stack.control_token}"}) as client:
            seen.append((await client.get(stack.described().control_url + look)).content)
        raise click.exceptions.Exit(0)

    monkeypatch.setattr(Stack, "broken", ended)
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, ["up", "--no-function", *argv], catch_exceptions=False)
    return done.exit_code, b"".join(seen)
