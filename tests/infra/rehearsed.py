"""What the program registers, as the rehearsal reads it, for tests."""

from __future__ import annotations

from typing import Any

import msgspec

from rtms_infra.rehearsal.registered import Entry, Registered
from tests.infra.deployment import Deployment, Runner, configured


def registered(runner: Runner, **changes: object) -> Registered:
    """Of the least configuration with changes by short name."""
    return read(runner.run(configured(**changes)))


def read(deployment: Deployment) -> Registered:
    assert not deployment.error, deployment.error
    entries = [
        Entry(urn=r.urn, type=r.type, name=r.name, custom=r.custom, inputs=dict(r.inputs), dependencies=r.dependencies)
        for r in deployment.resources
    ]
    return Registered(entries, deployment.outputs, deployment.config["gcp:project"])


def altered(whole: Registered, name: str, **inputs: Any) -> Registered:
    """The same with other inputs of one resource (None as the only value: without it)."""
    entries = [
        msgspec.structs.replace(one, inputs={**one.inputs, **inputs}) if one.name == name else one
        for one in whole.entries
        if one.name != name or inputs
    ]
    there = {one.urn for one in entries}
    entries = [msgspec.structs.replace(one, dependencies=[urn for urn in one.dependencies if urn in there]) for one in entries]
    return Registered(entries, whole.outputs, whole.project)
