"""Pulumi's order of steps: what one `pulumi up` does to a state, registration by registration, and the deletions at its end.

Rules of the engine (pulumi v3.256, pkg/resource/deploy): a replacement is refused only if the old and the new registration are
protected; deletions come last, and not at all after an error; when the old one goes first, so do all that depend on it through a
property which would replace them; a failed create or update that left a state is tried again as an update.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from rtms_infra.rehearsal.cloud import Cloud, Grant
from rtms_infra.rehearsal.facts import FACTS
from rtms_infra.rehearsal.provider import Failed, Provider, ResourceState, covered

Verb = Literal["create", "update", "same", "replace", "delete", "forget", "refuse", "fail"]


@dataclass(frozen=True)
class Step:
    """One thing that was done. `how`: of a replacement "old first" or "new first"; of a failure or refusal its sentence."""

    verb: Verb
    name: str
    type: str
    how: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Registration:
    """What the program registered. `depends_by`: property -> URNs it is made from. `old_first`: the option deleteBeforeReplace, or None.

    `aliases`: URNs that it may have in the state of an earlier program.
    """

    urn: str
    type: str
    name: str
    custom: bool
    inputs: Mapping[str, Any]
    dependencies: tuple[str, ...] = ()
    depends_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    protect: bool = False
    retain: bool = False
    deleted_with: str = ""
    old_first: bool | None = None
    aliases: tuple[str, ...] = ()


@dataclass
class Held:
    """One resource in Pulumi's state. `error`: it was kept after a failed create or update."""

    registration: Registration
    state: ResourceState
    error: str = ""


class Refused(Exception):
    """A step that protection, or the provider's Check, forbids."""


@dataclass
class World:
    """The cloud, and what Pulumi remembers of it."""

    cloud: Cloud = field(default_factory=Cloud)
    held: dict[str, Held] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    """The stack's, as the last `up` that came to its end left them."""

    def copy(self) -> World:
        return copy.deepcopy(self)


class Update:
    """One `pulumi up`. `register` is called for each registration, in an order that respects dependencies; then `finish`."""

    def __init__(self, world: World, project: str) -> None:
        self.world, self.provider = world, Provider(world.cloud, project)
        self.steps: list[Step] = []
        self.errors: list[str] = []
        self._registered: set[str] = set()
        self._old: list[Held] = []  # replaced by a new one that was made first
        self._gone: set[str] = set()  # deleted first, and not yet made again

    def register(self, new: Registration) -> ResourceState:
        """Raises `Refused` or `Failed`; what remained is in the world."""
        self._registered.add(new.urn)
        try:
            return self._register(new)
        except (Failed, Refused) as error:
            verb: Verb = "fail" if isinstance(error, Failed) else "refuse"
            self.steps.append(Step(verb, new.name, new.type, str(error)))
            self.errors.append(f"{new.name}: {error}")
            raise

    def _register(self, new: Registration) -> ResourceState:
        problems = self.provider.check(new.type, new.name, new.inputs)
        if problems:
            raise Refused("; ".join(problems))
        old = self._held(new)
        if old is None:
            return self._create(new, "replace" if new.urn in self._gone else "create", "old first" if new.urn in self._gone else "")
        difference = self.provider.diff(new.type, old.state, new.inputs)
        paths = tuple(sorted(difference.changed))
        if difference.replaces:
            old_first = difference.old_first if new.old_first is None else new.old_first
            return self._replace(new, old, paths, old_first=old_first)
        if difference.changed or old.error:
            return self._update(new, old, difference.changed)
        self.world.held[new.urn] = Held(new, old.state)
        self.steps.append(Step("same", new.name, new.type))
        return old.state

    def _held(self, new: Registration) -> Held | None:
        """What the state has of it, under its URN or the first of its aliases that is there."""
        resources = self.world.held
        former = next((urn for urn in (new.urn, *new.aliases) if urn in resources), new.urn)
        if former != new.urn:
            # Its place in the order stays: everything comes after what it depends on.
            self.world.held = resources = {new.urn if urn == former else urn: one for urn, one in resources.items()}
            for one in resources.values():
                one.registration = _with_urn(one.registration, former, new.urn)
        return resources.get(new.urn)

    def _create(self, new: Registration, verb: Verb, how: str, paths: tuple[str, ...] = ()) -> ResourceState:
        try:
            state = self.provider.create(new.type, new.inputs)
        except Failed as error:
            if error.state is not None:
                self.world.held[new.urn] = Held(new, error.state, str(error))
            raise
        self.world.held[new.urn] = Held(new, state)
        self._gone.discard(new.urn)
        self.steps.append(Step(verb, new.name, new.type, how, paths))
        return state

    def _update(self, new: Registration, old: Held, changed: frozenset[str]) -> ResourceState:
        try:
            state = self.provider.update(new.type, old.state, new.inputs, changed)
        except Failed as error:
            self.world.held[new.urn] = Held(new, error.state or old.state, str(error))
            raise
        self.world.held[new.urn] = Held(new, state)
        self.steps.append(Step("update", new.name, new.type, old.error, tuple(sorted(changed))))
        return state

    def _replace(self, new: Registration, old: Held, paths: tuple[str, ...], *, old_first: bool) -> ResourceState:
        if old.registration.protect and new.protect:
            self._refuse(new, f"{new.name} is protected: it cannot be replaced because of {', '.join(paths)}")
        if not old_first:
            self._old.append(self.world.held.pop(new.urn))
            return self._create(new, "replace", "new first", paths)
        dependents = self._replaced_with(new.urn)
        for resource in dependents:
            if resource.registration.protect:
                self._refuse(resource.registration, f"{resource.registration.name} is protected, and would be deleted with {new.name}")
        for resource in [*reversed(dependents), old]:
            self._delete(resource)
            self._gone.add(resource.registration.urn)
        return self._create(new, "replace", "old first", paths)

    def _refuse(self, registration: Registration, sentence: str) -> None:
        raise Refused(sentence)

    def _replaced_with(self, urn: str) -> list[Held]:
        """Everything that depends on it through a property whose change replaces, near or far, in the order of registration."""
        replaced, dependents = {urn}, []
        for resource in self.world.held.values():
            registration = resource.registration
            by = {name for name, urns in registration.depends_by.items() if replaced & set(urns)}
            if any(_replaces(registration.type, name) for name in by):
                replaced.add(registration.urn)
                dependents.append(resource)
        return dependents

    def _delete(self, resource: Held) -> None:
        registration = resource.registration
        done = "abandoned" if registration.retain else self.provider.delete(registration.type, resource.state)
        if self.world.held.get(registration.urn) is resource:
            del self.world.held[registration.urn]
        if registration.urn not in self._registered or done == "abandoned":
            self.steps.append(Step("delete" if done == "deleted" else "forget", registration.name, registration.type))

    def finish(self, program_error: str = "") -> None:
        """The deletions, unless something failed: what is no longer registered, and what was replaced by a new one."""
        if program_error:
            self.errors.append(program_error)
        if self.errors:
            # What was replaced and not deleted stays in the state as pending; the next run deletes it. It keeps its own entry.
            for resource in self._old:
                self.world.held.setdefault(f"{resource.registration.urn}#pending", resource)
            return
        unregistered = [resource for urn, resource in self.world.held.items() if urn not in self._registered]
        self.remove([*unregistered, *self._old])

    def missing(self) -> set[Grant]:
        """Grants that Pulumi's state has and Google has not: another resource of the same grant was deleted after they were given."""
        resources = [(one.registration.type, one.state) for one in self.world.held.values()]
        return {grant for kind, state in resources if (grant := self.provider.grant(kind, state)) and grant not in self.world.cloud.grants}

    def remove(self, going: list[Held]) -> None:
        """Delete these, dependents before what they depend on. One failure ends it."""
        live = {resource.registration.urn for resource in self.world.held.values() if resource not in going}
        ends = {resource.registration.urn for resource in going} - live
        for registration in self._protected(going):
            self.steps.append(Step("refuse", registration.name, registration.type, "it is protected"))
            self.errors.append(f"{registration.name} is protected: it cannot be deleted")
        if self.errors:
            return
        for resource in _last_first(going):
            registration = resource.registration
            try:
                if registration.deleted_with in ends:
                    self._forget(resource)
                else:
                    self._delete(resource)
            except Failed as error:
                self.steps.append(Step("fail", registration.name, registration.type, str(error)))
                self.errors.append(f"{registration.name}: {error}")
                return

    def _protected(self, going: list[Held]) -> Iterator[Registration]:
        """What protection is met at. Dependents go first, so what those that stay depend on is not come to (seen in Pulumi 3.274)."""
        needed: set[str] = set()
        for resource in _last_first(going):
            registration = resource.registration
            protected = registration.protect and resource not in self._old
            if protected and registration.urn not in needed:
                yield registration
            if protected or registration.urn in needed:
                needed.update(registration.dependencies)

    def _forget(self, resource: Held) -> None:
        """Deleted together with something else: nothing is asked of Google for it."""
        for urn in [urn for urn, other in self.world.held.items() if other is resource]:
            del self.world.held[urn]
        self.steps.append(Step("forget", resource.registration.name, resource.registration.type, "deleted with another"))


def destroy(world: World, project: str) -> Update:
    """`pulumi destroy`. Nothing is deleted if anything is protected."""
    update = Update(world, project)
    update.remove(list(world.held.values()))
    return update


def replay(world: World, project: str, registrations: Iterable[Registration]) -> Update:
    """`pulumi up` of a program that registers exactly these, each after what it depends on; components and the stack do nothing."""
    update = Update(world, project)
    for registration in registrations:
        if registration.custom:
            with contextlib.suppress(Failed, Refused):  # it is in the update's errors, and what depends on it fails by itself
                update.register(registration)
    update.finish()
    return update


def standing(world: World, project: str) -> list[dict[str, Any]]:
    """What Google has of all that is in Pulumi's state, as entries of `registered.Registered`. What was replaced and is still there has
    `(replaced)` behind its name. What Pulumi has forgotten is left out."""
    provider, entries = Provider(world.cloud, project), []
    for urn, resource in world.held.items():
        one, inputs = resource.registration, provider.has(resource.registration.type, resource.state)
        if inputs is not None:
            name = one.name if urn == one.urn else f"{one.name} (replaced)"
            needed = [other for other in one.dependencies if other in world.held]
            entries.append({"urn": urn, "type": one.type, "name": name, "custom": True, "inputs": inputs, "dependencies": needed})
    return entries


def refresh(world: World, project: str) -> list[str]:
    """`pulumi refresh`: the state is read back. Returns the names of what differs or is gone."""
    provider, names = Provider(world.cloud, project), []
    for urn, resource in list(world.held.items()):
        state = provider.read(resource.registration.type, resource.state)
        if state is None:
            del world.held[urn]
            names.append(resource.registration.name)
        elif (state.stored, state.outputs) != (resource.state.stored, resource.state.outputs):
            resource.state = state
            names.append(resource.registration.name)
    return names


def _with_urn(registration: Registration, former: str, urn: str) -> Registration:
    """The registration, with another URN for a resource: its own one, or one that it depends on."""

    def now(one: str) -> str:
        return urn if one == former else one

    return replace(
        registration,
        urn=now(registration.urn),
        dependencies=tuple(map(now, registration.dependencies)),
        depends_by={name: tuple(map(now, urns)) for name, urns in registration.depends_by.items()},
        deleted_with=now(registration.deleted_with),
    )


def _replaces(kind: str, name: str) -> bool:
    return covered(name, FACTS[kind].replaces) if kind in FACTS else False


def _last_first(going: list[Held]) -> list[Held]:
    """Dependents first: the reverse of an order in which everything comes after what it depends on."""
    by_urn = {resource.registration.urn: resource for resource in going}
    order: list[Held] = []
    visited: set[int] = set()

    def visit(resource: Held) -> None:
        if id(resource) in visited:
            return
        visited.add(id(resource))
        for urn in (*resource.registration.dependencies, resource.registration.deleted_with):
            if urn in by_urn:
                visit(by_urn[urn])
        order.append(resource)

    for resource in going:
        visit(resource)
    return order[::-1]
