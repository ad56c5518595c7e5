"""A Google Cloud that is a few dictionaries: what exists, what was deleted when, who is in which policy. It knows no Pulumi.

Its answers after failures and deletions are those of Google's documentation; what is inferred is said where it is used.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from rtms_infra.rehearsal.facts import FACTS, Facts

PROJECT_NUMBER = "123456789012"


class CloudError(Exception):
    """Google's refusal: the HTTP status and its sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        self.status, self.sentence = status, sentence
        super().__init__(f"Error {status}: {sentence}")


@dataclass(frozen=True)
class Grant:
    """One member of one role on one resource, under one condition."""

    on: str
    role: str
    member: str
    condition: str

    @property
    def right(self) -> tuple[str, str, str]:
        """What it gives: (on, role, member). Two grants of the same right under two conditions can stand side by side."""
        return self.on, self.role, self.member


@dataclass
class Failure:
    """A failure that is set: the next `times` operations of this kind on matching resources fail.

    `verb`: create, update, delete, or `build`: the operation is accepted, and its build fails. `what`: a pattern over the id.
    """

    verb: str
    what: str
    status: int = 500
    sentence: str = "set to fail"
    times: int = 1


@dataclass
class Cloud:
    """`resources`: id -> (type, body). `deleted`: id -> (type, body, when). Times are seconds on `now`, which only `pass_time` moves."""

    now: float = 0.0
    resources: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    deleted: dict[str, tuple[str, dict[str, Any], float]] = field(default_factory=dict)
    grants: set[Grant] = field(default_factory=set)
    objects: Counter[str] = field(default_factory=Counter)
    """Bucket -> objects in it that Pulumi does not manage."""
    failures: list[Failure] = field(default_factory=list)
    numbers: Counter[str] = field(default_factory=Counter)
    gaps: list[Grant] = field(default_factory=list)
    """Grants that were taken away and given again, under whatever condition: somebody went without in between."""
    metric_delay_s: float = 0.0
    """How long Cloud Monitoring does not know a new counter (Google names up to 10 minutes)."""
    api_delay_s: float = 0.0
    """How long an API that was just enabled answers as if it were not (Google: "a few minutes")."""
    _lost: set[tuple[str, str, str]] = field(default_factory=set)

    def copy(self) -> Cloud:
        return copy.deepcopy(self)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def number(self, kind: str) -> str:
        """The next number that Google gives to something of this kind."""
        self.numbers[kind] += 1
        return f"{self.numbers[kind]:012d}"

    def fails(self, verb: str, name: str) -> Failure | None:
        """The failure that is set for this operation, used up by one."""
        for failure in self.failures:
            if failure.verb == verb and failure.times and fnmatchcase(name, failure.what):
                failure.times -= 1
                return failure
        return None

    def create(self, kind: str, name: str, body: dict[str, Any]) -> None:
        facts = FACTS[kind]
        self._refuse("create", name)
        if name in self.resources and facts.if_exists == "refused":
            raise CloudError(409, f"{name} already exists")
        self._check_tombstone(facts, name)
        self.deleted.pop(name, None)
        self.resources[name] = (kind, {**body, "born": self.now})

    def _check_tombstone(self, facts: Facts, name: str) -> None:
        if facts.tombstone is None or name not in self.deleted:
            return
        age = self.now - self.deleted[name][2]
        if facts.tombstone.refused_from_s <= age < facts.tombstone.refused_until_s:
            raise CloudError(409, f"{name}: {facts.tombstone.sentence}")

    def update(self, name: str, body: dict[str, Any]) -> None:
        self._refuse("update", name)
        if name not in self.resources:
            raise CloudError(404, f"{name} does not exist")
        kind, old = self.resources[name]
        self.resources[name] = (kind, {**body, "born": old["born"]})

    def delete(self, name: str) -> None:
        self._refuse("delete", name)
        if name not in self.resources:
            return
        kind, body = self.resources[name]
        self._guards(kind, name, body)
        del self.resources[name]
        self.deleted[name] = (kind, body, self.now)
        for other in [other for other in self.resources if other.startswith(f"{name}/")]:
            self.deleted[other] = (*self.resources.pop(other), self.now)
        # The policy of a resource goes with it.
        for grant in [grant for grant in self.grants if grant.on == name]:
            self.take(grant)

    def _guards(self, kind: str, name: str, body: Mapping[str, Any]) -> None:
        short = kind.rsplit(":", 1)[-1]
        if short == "Database" and body.get("deleteProtectionState") == "DELETE_PROTECTION_ENABLED":
            raise CloudError(400, f"{name} is protected from deletion")
        if short == "Bucket":
            inside = [other for other, (other_kind, _) in self.resources.items() if other_kind.endswith(":BucketObject")]
            count = self.objects[name] + sum(other.startswith(f"{name}-") for other in inside)
            if count and not body.get("forceDestroy"):
                raise CloudError(409, f"the bucket {name} is not empty: {count} objects")
        if short in ("NotificationChannel", "UptimeCheckConfig") and self._used(name):
            raise CloudError(400, f"{name} is used by an alert policy")

    def _used(self, name: str) -> bool:
        last = name.rsplit("/", 1)[-1]
        policies = [body for kind, body in self.resources.values() if kind.endswith(":AlertPolicy")]
        return any(last in str(body) for body in policies)

    def give(self, grant: Grant) -> None:
        """Add a member to a policy; one that is there already stays as it is."""
        self._refuse("create", f"{grant.on}/{grant.role}/{grant.member}")
        if grant.right in self._lost:
            self._lost.discard(grant.right)
            self.gaps.append(grant)
        self.grants.add(grant)

    def take(self, grant: Grant) -> None:
        """Remove a member from a policy, also if somebody else declared it."""
        if grant in self.grants:
            self.grants.discard(grant)
            if all(other.right != grant.right for other in self.grants):
                self._lost.add(grant.right)

    def forget_gaps(self) -> None:
        """A new command begins: what was taken away before it is no gap."""
        self.gaps, self._lost = [], set()

    def _refuse(self, verb: str, name: str) -> None:
        if failure := self.fails(verb, name):
            raise CloudError(failure.status, failure.sentence)
