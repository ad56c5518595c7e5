"""What an update would do: the difference between two runs of the program, by the provider's rules (`rtms_infra.rehearsal.provider`).

`plan` compares registrations only; what really happens to a cloud, in which order and after which failures, is `Runner.act`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.normal import stored
from rtms_infra.rehearsal.provider import Provider, ResourceState
from tests.infra.deployment import Deployment


@dataclass
class Plan:
    """Logical names by what would happen to them."""

    created: set[str] = field(default_factory=set)
    updated: set[str] = field(default_factory=set)
    replaced: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    @property
    def touched(self) -> set[str]:
        return self.created | self.updated | self.replaced | self.deleted


def plan(before: Deployment, after: Deployment) -> Plan:
    """What `pulumi up` from one to the other does."""
    old = {resource.urn: resource for resource in before.custom}
    new = {resource.urn: resource for resource in after.custom}
    provider = Provider(Cloud())
    result = Plan()
    result.created = {new[urn].name for urn in new.keys() - old.keys()}
    result.deleted = {old[urn].name for urn in old.keys() - new.keys()}
    for urn in old.keys() & new.keys():
        held = ResourceState("", "", stored(old[urn].kind, old[urn].inputs), {})
        difference = provider.diff(old[urn].type, held, new[urn].inputs)
        if difference.replaces:
            result.replaced.add(old[urn].name)
        elif difference.changed:
            result.updated.add(old[urn].name)
    return result
