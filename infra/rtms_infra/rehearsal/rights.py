"""Who may do what, by the registered grants alone: roles, conditions, and the time that a grant takes to be in force.

Sources: Google's pages of each service's roles for `ROLES`; IAM docs, "Access change propagation": typically 2 minutes, up to 7 or more.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace

from rtms_infra.rehearsal.registered import CustomRole, Member, NotRegistered, Registered

ROLES: Mapping[str, frozenset[str]] = {
    "roles/run.invoker": frozenset({"run.routes.invoke"}),
    "roles/cloudtasks.enqueuer": frozenset({"cloudtasks.tasks.create"}),
    "roles/iam.serviceAccountUser": frozenset({"iam.serviceAccounts.actAs"}),
    "roles/secretmanager.secretAccessor": frozenset({"secretmanager.versions.access"}),
    "roles/datastore.user": frozenset(
        {f"datastore.entities.{verb}" for verb in ("create", "get", "list", "update", "delete")},
    ),
}
"""Predefined role -> those of its permissions that something on this machine needs. Any other role gives nothing here."""

ALL_USERS = "allUsers"

_TERM = re.compile(r"""\s*resource\.name\s*(?:==\s*"([^"]*)"|\.startsWith\(\s*"([^"]*)"\s*\))\s*""")


class ConditionError(Exception):
    """A condition beyond the used part of its language."""


def holds(expression: str, resource: str) -> bool:
    """Whether an IAM condition admits a resource. Only `resource.name == "..."`, `.startsWith("...")`, joined by `||` or by `&&`.

    Raises `ConditionError` for anything else.
    """
    if "||" in expression and "&&" in expression:
        raise ConditionError(f"cannot read the condition {expression!r}: || and && together")
    joined, join = ("&&", all) if "&&" in expression else ("||", any)
    results = []
    for term in expression.split(joined):
        match = _TERM.fullmatch(term)
        if match is None:
            raise ConditionError(f"cannot read {term.strip()!r} in the condition {expression!r}")
        equal, prefix = match[1], match[2]
        results.append(resource == equal if equal is not None else resource.startswith(prefix))
    return join(results)


@dataclass(frozen=True, slots=True)
class Right:
    """One grant: `name` is its Pulumi name, `on` what it is on; `permissions` is empty for a role that means nothing here."""

    name: str
    on: str
    role: str
    member: str
    permissions: frozenset[str]
    condition: str

    def same_grant(self, other: Right) -> bool:
        """Whatever the role holds, and whatever Pulumi calls it."""
        return (self.on, self.role, self.member, self.condition) == (other.on, other.role, other.member, other.condition)


class Rights:
    """The registered grants. `now`: seconds, at first the end of the `up` that made them; a grant is in force `propagation_s` after it was
    made, or given again."""

    def __init__(self, registered: Registered, now: Callable[[], float], propagation_s: float = 0.0) -> None:
        self.now, self._propagation_s = now, propagation_s
        self._since: dict[Right, float] = {}
        self._taken: dict[str, set[Right]] = {}
        self.update(registered)

    def update(self, registered: Registered, same: Collection[str] = ()) -> None:
        """Be the grants of another `up`, which has just ended. `same`: Pulumi names of what it left as it was. What is granted further on
        stays in force; a role that is given more permissions needs time for these. A grant that was taken away behind Pulumi's back stays
        away."""
        created = registered.created(same)
        self._began = self.now() - max((end for _, end in created.values()), default=0.0)
        self._created = created
        roles = dict(ROLES)
        for custom in registered.of(CustomRole).values():
            roles[f"projects/{custom.project}/roles/{custom.role_id}"] = frozenset(custom.permissions)
        since: dict[Right, float] = {}
        for right in _rights(registered, roles):
            if not any(right.same_grant(one) for one in self._taken.get(right.name, ())):
                since |= self._in_force(right, self._began + created[right.name][1])
        self._since = since

    def _in_force(self, right: Right, given_at: float) -> dict[Right, float]:
        """Since when which of its permissions are given."""
        before = {
            replace(right, permissions=one.permissions & right.permissions): since
            for one, since in self._since.items()
            if one.same_grant(right)
        }
        added = right.permissions.difference(*(one.permissions for one in before))
        return before | {replace(right, permissions=added): given_at} if added or not before else before

    def allows(self, member: str, permission: str, resource: str) -> bool:
        """`member`: `serviceAccount:...`, or `allUsers`. `resource`: its full name, `projects/...`. Raises `ConditionError`."""
        return any(self._gives(right, since, member, permission, resource) for right, since in self._since.items())

    def when_created(self, name: str) -> Rights:
        """The grants as they were in force when `up` began to create the resource of this Pulumi name."""
        moment = self._began + self._created[name][0]
        then = copy.copy(self)
        then.now = lambda: moment
        return then

    def take(self, name: str) -> None:
        """Take a grant away at once. Raises `NotRegistered` if no grant has this Pulumi name."""
        rights = {right for right in self._since if right.name == name}
        if not rights:
            raise NotRegistered(f"no grant `{name}` is registered")
        self._taken[name] = rights
        self._since = {right: since for right, since in self._since.items() if right not in rights}

    def give(self, name: str) -> None:
        """Give it again."""
        self._since |= dict.fromkeys(self._taken.pop(name, ()), self.now())

    def _gives(self, right: Right, since: float, member: str, permission: str, resource: str) -> bool:
        if self.now() < since + self._propagation_s or permission not in right.permissions:
            return False
        if right.member not in (member, ALL_USERS):
            return False
        within = resource == right.on or resource.startswith(f"{right.on}/")
        return within and (not right.condition or holds(right.condition, resource))


def _rights(registered: Registered, roles: Mapping[str, frozenset[str]]) -> Iterator[Right]:
    for name, (kind, member) in registered.members().items():
        condition = member.condition.expression if member.condition else ""
        on = _on(kind, member, registered.project)
        yield Right(name, on, member.role, member.member, roles.get(member.role, frozenset()), condition)


def _on(kind: str, member: Member, project: str) -> str:
    """The full name of what a grant is on."""
    project = member.project or project
    place = f"projects/{project}/locations/{member.location}"
    return {
        "ServiceIamMember": f"{place}/services/{member.name}",
        "QueueIamMember": f"{place}/queues/{member.name}",
        "SecretIamMember": f"projects/{project}/secrets/{member.secret_id.rpartition('/')[2]}",
        "BucketIAMMember": f"projects/_/buckets/{member.bucket}",
        "RepositoryIamMember": f"{place}/repositories/{member.repository}",
    }.get(kind.rpartition(":")[2], member.service_account_id or f"projects/{project}")
