"""Collects every mistake of a scenario, so that a person sees all of them at once."""

from __future__ import annotations

import contextlib
from collections.abc import Generator

from rtms_simulator.errors import ScenarioError


class Mistakes:
    """The ScenarioErrors of one scenario, in the order in which they were met."""

    def __init__(self) -> None:
        self.errors: list[ScenarioError] = []

    @contextlib.contextmanager
    def kept(self) -> Generator[None]:
        """Keep a ScenarioError of the block, which ends there, and go on behind it."""
        try:
            yield
        except ScenarioError as error:
            self.errors += [_alone(one) for one in error.all]

    def raise_any(self) -> None:
        """Raises the first with all others as its `more`; nothing if there is none."""
        if self.errors:
            raise joined(self.errors)


def joined(errors: list[ScenarioError]) -> ScenarioError:
    """One error that holds all of them, in their order."""
    first = errors[0]
    return ScenarioError(
        first.problem, path=first.path, allowed=first.allowed, file=first.file, line=first.line, more=tuple(map(_alone, errors[1:]))
    )


def placed(error: ScenarioError, file: str, line: int) -> ScenarioError:
    """One mistake with its place in a file."""
    return ScenarioError(error.problem, path=error.path, allowed=error.allowed, file=file, line=line)


def _alone(error: ScenarioError) -> ScenarioError:
    if not error.more:
        return error
    return ScenarioError(error.problem, path=error.path, allowed=error.allowed, file=error.file, line=error.line)
