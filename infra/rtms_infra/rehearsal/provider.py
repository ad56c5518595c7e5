"""The `gcp` provider on the local cloud: Check, Diff, Create, Update, Read, Delete, with the real one's rules (facts.py, normal.py).

Pure but for the cloud it is given. The tests' engine calls it; it can be served to Pulumi's own engine over gRPC as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rtms_infra.rehearsal import schema
from rtms_infra.rehearsal.cloud import PROJECT_NUMBER, Cloud, CloudError, Grant
from rtms_infra.rehearsal.facts import FACTS, Facts
from rtms_infra.rehearsal.normal import differences, stored
from rtms_infra.rehearsal.outputs import COMPUTED


@dataclass
class ResourceState:
    """What the provider knows of one resource: `at`: its name at Google; `stored`: its arguments in Google's words."""

    id: str
    at: str
    stored: dict[str, Any]
    outputs: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """`changed`: dotted paths; `replaces`: those of them that cannot be changed in place; `old_first`: the order of a replacement."""

    changed: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()
    old_first: bool = False


class Failed(Exception):
    """A create or update failed. `state`: what the provider keeps of it in spite of that, if anything."""

    def __init__(self, sentence: str, state: ResourceState | None = None) -> None:
        self.sentence, self.state = sentence, state
        super().__init__(sentence)


def bare(value: Any) -> Any:
    """Without the marks of secrets."""
    if isinstance(value, Mapping):
        return bare(value["$secret"]) if "$secret" in value else {key: bare(item) for key, item in value.items()}
    return [bare(item) for item in value] if isinstance(value, list) else value


def short(kind: str) -> str:
    return kind.rsplit(":", 1)[-1]


def covered(path: str, names: frozenset[str]) -> bool:
    """Whether a change at `path` is a change of one of `names`, or of something below or above it."""
    return any(path == name or path.startswith(f"{name}.") for name in names)


@dataclass
class Provider:
    """`project`: of resources that name none."""

    cloud: Cloud
    project: str = ""
    calls: list[str] = field(default_factory=list)

    def check(self, kind: str, name: str, inputs: Mapping[str, Any]) -> list[str]:
        """What the provider refuses before it asks Google, one sentence each."""
        if kind not in FACTS:
            return [f"{name}: nothing is known of {kind}"]
        return [*schema.check(kind, name, inputs), *_rules(kind, name, inputs)]

    def diff(self, kind: str, state: ResourceState, inputs: Mapping[str, Any]) -> Difference:
        facts = FACTS[kind]
        changed = frozenset(differences(short(kind), state.stored, inputs))
        replaces = frozenset(path for path in changed if covered(path, facts.replaces))
        if short(kind) == "UptimeCheckConfig" and any(path.startswith("monitoredResource") for path in changed):
            replaces |= {"monitoredResource"}
        return Difference(changed, replaces, self.old_first(facts, inputs))

    @staticmethod
    def old_first(facts: Facts, inputs: Mapping[str, Any]) -> bool:
        """Whether the bridge deletes the old one before it creates the new one."""
        return facts.old_first or (bool(facts.auto_named) and facts.auto_named in inputs)

    def create(self, kind: str, inputs: Mapping[str, Any]) -> ResourceState:
        """Raises `Failed`, with a state if the provider keeps one."""
        facts, plain = FACTS[kind], bare(inputs)
        if facts.grant_on:
            return self._grant(kind, facts, inputs)
        at = self._name(facts, plain, kind)
        state = self._state(kind, at, inputs)
        failure = self.cloud.fails("build", at) if facts.operation else None
        try:
            self._needs(kind, plain)
            self.cloud.create(kind, at, self._body(kind, inputs, state, failed=failure is not None))
        except CloudError as error:
            raise Failed(str(error)) from None
        if failure is not None:
            state.outputs["state"] = "FAILED"
            raise Failed(f"{at}: the build failed: {failure.sentence}", state if facts.kept_after_failed_create else None)
        return state

    def update(self, kind: str, state: ResourceState, inputs: Mapping[str, Any], changed: frozenset[str]) -> ResourceState:
        """An update in which no argument differs sends nothing, reads, and succeeds. Raises `Failed` with the new arguments kept."""
        facts = FACTS[kind]
        if not changed:
            return self.read(kind, state) or state
        fresh = self._state(kind, state.at, inputs)
        fresh.id = state.id
        # What Google made once stays as it was made.
        fresh.outputs |= {name: value for name, value in state.outputs.items() if name in ("name", "uptimeCheckId", "version")}
        renamed = self._name(facts, bare(inputs), kind) if short(kind) == "Metric" else state.at
        failure = self.cloud.fails("build", state.at) if facts.operation else None
        if failure is not None:
            # Google continues with what it had [inf], but the provider has the new arguments in its state.
            fresh.outputs["state"] = self.cloud.resources[state.at][1].get("state", "ACTIVE")
            raise Failed(f"{state.at}: the build failed: {failure.sentence}", fresh)
        try:
            if renamed != state.at:
                # The update writes a metric of the new name; the old one stays, unmanaged.
                self.cloud.create(kind, renamed, self._body(kind, inputs, fresh))
                fresh.at = renamed
            else:
                self.cloud.update(state.at, self._body(kind, inputs, fresh))
        except CloudError as error:
            raise Failed(str(error), state) from None
        return fresh

    def read(self, kind: str, state: ResourceState) -> ResourceState | None:
        """None: it is gone. Bucket and object of a function's source are never read back."""
        if FACTS[kind].grant_on:
            return state if self._member(kind, FACTS[kind], state.stored) in self.cloud.grants else None
        if state.at not in self.cloud.resources:
            return None
        body = self.cloud.resources[state.at][1]
        outputs = {**state.outputs, **({"state": body["state"]} if "state" in body else {})}
        fields = state.stored if short(kind) == "Function" else {k: v for k, v in body["stored"].items() if k in state.stored}
        return ResourceState(state.id, state.at, fields, outputs)

    def has(self, kind: str, state: ResourceState) -> dict[str, Any] | None:
        """The arguments that Google goes by, which are the former ones after an update that failed. None: it is not there, or serves
        nothing."""
        if FACTS[kind].grant_on:
            return bare(state.stored) if self._member(kind, FACTS[kind], state.stored) in self.cloud.grants else None
        _, body = self.cloud.resources.get(state.at, (kind, {"served": False}))
        return {name: value for name, value in body.items() if name not in _NO_ARGUMENTS} if body.get("served", True) else None

    def delete(self, kind: str, state: ResourceState) -> str:
        """`deleted`, or `abandoned` if only the state forgets it. Raises `Failed`. The policy is that of the state."""
        facts = FACTS[kind]
        if facts.grant_on:
            self.cloud.take(self._member(kind, facts, state.stored))
            return "deleted"
        policy = state.stored.get("deletionPolicy") or facts.deletion_policy
        if policy == "PREVENT":
            raise Failed(f"{state.at} cannot be destroyed: its deletion_policy is PREVENT")
        if policy == "ABANDON" or (short(kind) == "Service" and not state.stored.get("disableOnDestroy")):
            return "abandoned"
        try:
            self.cloud.delete(state.at)
        except CloudError as error:
            raise Failed(str(error)) from None
        return "deleted"

    def grant(self, kind: str, state: ResourceState) -> Grant | None:
        """The grant that a state is of; None if it is of something else."""
        facts = FACTS.get(kind)
        return self._member(kind, facts, state.stored) if facts is not None and facts.grant_on else None

    def _grant(self, kind: str, facts: Facts, inputs: Mapping[str, Any]) -> ResourceState:
        grant = self._member(kind, facts, inputs)
        target = self.cloud.resources.get(grant.on)
        if short(kind) == "ServiceIamMember" and target is not None and not target[1].get("served", True):
            target = None  # a function whose first build failed has no Cloud Run service
        if target is None and not grant.on.startswith("project:"):
            raise Failed(f"Error 404: {grant.on} does not exist")
        try:
            self.cloud.give(grant)
        except CloudError as error:
            raise Failed(str(error)) from None
        name = "/".join(part for part in (grant.on, grant.role, grant.member, grant.condition) if part)
        return ResourceState(name, name, dict(inputs), {})

    def _member(self, kind: str, facts: Facts, inputs: Mapping[str, Any]) -> Grant:
        plain = bare(inputs)
        condition = plain.get("condition") or {}
        text = msgspec.json.encode(condition, order="sorted").decode() if condition else ""
        return Grant(self._target(kind, facts, plain), plain["role"], plain["member"], text)

    def _target(self, kind: str, facts: Facts, plain: Mapping[str, Any]) -> str:
        """The name of what the grant is on, as `_name` gives it."""
        project, value = plain.get("project") or self.project, plain[facts.grant_on]
        place = f"projects/{project}/locations/{plain.get('location')}"
        return {
            "RepositoryIamMember": f"{place}/repositories/{value}",
            "ServiceIamMember": f"{place}/functions/{value}",
            "QueueIamMember": f"{place}/queues/{value}",
            "SecretIamMember": f"projects/{project}/secrets/{value}",
            "BucketIAMMember": value,
        }.get(short(kind), value if kind.startswith("gcp:serviceaccount") else f"project:{project}")

    def _name(self, facts: Facts, plain: Mapping[str, Any], kind: str) -> str:
        project = plain.get("project") or self.project
        recurrence = "daily" if "dailyRecurrence" in plain else "weekly"
        number = self.cloud.number(kind) if "{number}" in facts.id else ""
        return facts.id.format_map(
            {**plain, "project": project, "project_number": PROJECT_NUMBER, "number": number, "recurrence": recurrence}
        )

    def _state(self, kind: str, at: str, inputs: Mapping[str, Any]) -> ResourceState:
        plain = bare(inputs)
        made = COMPUTED.get(kind, lambda p, i, n: {})(plain.get("project") or self.project, plain, at.rsplit("/", 1)[-1])
        return ResourceState(str(made.pop("id", at)), at, stored(short(kind), inputs), made)

    @staticmethod
    def _body(kind: str, inputs: Mapping[str, Any], state: ResourceState, *, failed: bool = False) -> dict[str, Any]:
        body = {**bare(inputs), "stored": state.stored}
        if short(kind) == "Function":
            body |= {"state": "FAILED" if failed else "ACTIVE", "served": not failed}
        return body

    def _needs(self, kind: str, plain: Mapping[str, Any]) -> None:
        """What must be there before, and Google says so."""
        self._needs_api(kind, plain)
        if short(kind) != "AlertPolicy" or not self.cloud.metric_delay_s:
            return
        text = msgspec.json.encode(plain).decode()
        for name, (other, body) in self.cloud.resources.items():
            young = short(other) == "Metric" and self.cloud.now - body["born"] < self.cloud.metric_delay_s
            if young and f"logging.googleapis.com/user/{body['name']}" in text and "disableMetricValidation" not in text:
                raise CloudError(404, f"cannot find a metric that matches the type of {name}")

    def _needs_api(self, kind: str, plain: Mapping[str, Any]) -> None:
        """An API that was enabled a moment ago is not in force yet; what was not enabled here was before, as what enables the others."""
        if short(kind) == "Service":
            return
        group = kind.split(":")[1].split("/")[0]
        api = f"{plain.get('project') or self.project}/{APIS.get(group, group)}.googleapis.com"
        if api in self.cloud.resources and self.cloud.now - self.cloud.resources[api][1]["born"] < self.cloud.api_delay_s:
            raise CloudError(403, f"{api.partition('/')[2]} {NOT_IN_FORCE} or it is disabled")


_NO_ARGUMENTS = frozenset({"born", "served", "state", "stored"})
"""What this cloud notes beside the arguments of a resource."""

NOT_IN_FORCE = "has not been used in this project before"
"""What Google says of an API that was enabled a moment ago."""

APIS: Mapping[str, str] = {
    "billing": "billingbudgets",
    "cloudfunctionsv2": "cloudfunctions",
    "cloudrunv2": "run",
    "projects": "iam",
    "serviceaccount": "iam",
}
"""A module of the provider -> the API that it calls, where the two are called differently."""


def _rules(kind: str, name: str, inputs: Mapping[str, Any]) -> Iterator[str]:
    """Rules over several arguments, from the provider's schemas and the API's documentation."""
    plain = bare(inputs)
    if short(kind) == "AlertPolicy":
        yield from _alert_policy_rules(name, plain)
    if "deletionPolicy" in plain and plain["deletionPolicy"] not in ("DELETE", "ABANDON", "PREVENT", "DISABLE"):
        yield f"{name}: deletionPolicy {plain['deletionPolicy']!r} is none of DELETE, ABANDON, PREVENT"
    if short(kind) == "Bucket" and (bad := _bucket_name(str(plain.get("name", "")))):
        yield f"{name}: {bad}"


def _alert_policy_rules(name: str, plain: Mapping[str, Any]) -> Iterator[str]:
    plain = {key: value for key, value in plain.items() if value is not None}
    conditions = plain.get("conditions", ())
    logs = [condition for condition in conditions if "conditionMatchedLog" in condition]
    if not conditions:
        yield f"{name}: an alert policy without conditions"
    if logs and len(conditions) > 1:
        yield f"{name}: a condition on a log line must be the only one"
    if bool(logs) != ("notificationRateLimit" in plain.get("alertStrategy", {})):
        yield f"{name}: alertStrategy.notificationRateLimit belongs to a condition on a log line, and to nothing else"
    if len(plain.get("notificationChannels", ())) > 16:
        yield f"{name}: at most 16 channels"
    yield from (f"{name}: a condition must have exactly one kind, found {kinds}" for kinds in map(_kinds, conditions) if len(kinds) != 1)


def _kinds(condition: Mapping[str, Any]) -> list[str]:
    return [key for key in condition if key.startswith("condition")]


def _bucket_name(name: str) -> str:
    """Cloud Storage docs, "Bucket names"."""
    if name.startswith("goog") or "google" in name or "g00gle" in name:
        return f"the bucket name {name!r} begins with goog or contains google"
    return "" if 3 <= len(name) <= 63 else f"the bucket name {name!r} has {len(name)} characters, not 3 to 63"
