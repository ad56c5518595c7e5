"""URNs that a resource had in an earlier program: the option `aliases`, resolved as Pulumi's engine does.

Rules (pulumi v3.274, pkg/resource/deploy/step_generator.go, `generateAliases`): an alias names what differs, the rest is as it is now; what
a parent was called before, its children were called below; both at once are tried, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

STACK = "pulumi:pulumi:Stack"


@dataclass(frozen=True, slots=True)
class Urn:
    """`urn:pulumi:STACK::PROJECT::TYPE::NAME`. `above`: the types of its parents, outermost first, joined by `$`; empty below the stack."""

    stack: str
    project: str
    above: str
    type: str
    name: str

    def __str__(self) -> str:
        kinds = f"{self.above}${self.type}" if self.above else self.type
        return f"urn:pulumi:{self.stack}::{self.project}::{kinds}::{self.name}"

    @classmethod
    def read(cls, text: str) -> Urn:
        head, project, kinds, name = text.split("::", 3)
        above, _, kind = kinds.rpartition("$")
        return cls(head.rpartition(":")[2], project, above, kind, name)

    def below(self, parent: str) -> Urn:
        """The same resource with another parent."""
        kinds = parent.split("::")[2]
        return replace(self, above="" if kinds == STACK else kinds)


def aliases(urn: str, parent: str, messages: Iterable[Any], of_parent: Sequence[str]) -> list[str]:
    """Every URN that the resource may have had. `messages`: Alias messages of its registration. `of_parent`: what its parent was called."""
    now = Urn.read(urn)
    own = [_former(now, alias) for alias in messages]
    inherited = [_below(child, parent, former) for former in of_parent for child in (now, *own)]
    return [one for one in dict.fromkeys(map(str, (*own, *inherited))) if one != urn]


def _former(now: Urn, alias: Any) -> Urn:
    if alias.urn:
        return Urn.read(alias.urn)
    spec = alias.spec
    former = replace(
        now,
        stack=spec.stack or now.stack,
        project=spec.project or now.project,
        type=spec.type or now.type,
        name=spec.name or now.name,
    )
    if spec.noParent:
        return replace(former, above="")
    return former.below(spec.parentUrn) if spec.parentUrn else former


def _below(child: Urn, parent: str, former_parent: str) -> Urn:
    """The child as it was called below its parent's former URN; a name that begins with the parent's began with the former one."""
    name, former_name = Urn.read(parent).name, Urn.read(former_parent).name
    renamed = former_name + child.name.removeprefix(name) if child.name.startswith(name) else child.name
    return replace(child.below(former_parent), name=renamed)
