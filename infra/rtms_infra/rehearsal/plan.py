"""`pulumi preview`: the same order of steps as `update`, with a provider that only says what it would do.

What Google computes is unknown for what would be made, and stays as it was for what would be changed, as the bridge has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtms_infra.rehearsal.normal import stored
from rtms_infra.rehearsal.provider import Provider, ResourceState, short
from rtms_infra.rehearsal.update import Registration, Step, Update, World

NOT_YET = ""
"""The id of what does not exist; Pulumi's SDK takes it, and every missing output, for unknown during a preview."""


class Planning(Provider):
    """Check and Diff are the provider's own; the rest leaves the cloud alone."""

    def create(self, kind: str, inputs: Mapping[str, Any]) -> ResourceState:
        return ResourceState(NOT_YET, NOT_YET, stored(short(kind), inputs), {})

    def update(self, kind: str, state: ResourceState, inputs: Mapping[str, Any], changed: frozenset[str]) -> ResourceState:
        return ResourceState(state.id, state.at, stored(short(kind), inputs), state.outputs)

    def delete(self, kind: str, state: ResourceState) -> str:
        return "deleted"


class Plan(Update):
    """One preview. `steps` says what an `up` would do; the cloud of `world` is left as it is, its state of Pulumi is not."""

    def __init__(self, world: World, project: str) -> None:
        super().__init__(world, project)
        self.provider = Planning(world.cloud, project)

    def _refuse(self, registration: Registration, sentence: str) -> None:
        """A preview continues after a change that the protection forbids, so that it shows all such changes."""
        self.steps.append(Step("refuse", registration.name, registration.type, sentence))
        self.errors.append(f"{registration.name}: {sentence}")
