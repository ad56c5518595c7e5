"""What must hold when a stack that a release deployed is updated by the program as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.infra.deployment import Runner, World
from tests.infra.releases import Release

HOLDS = {
    "Account": "rights of others, and who it is",
    "Bucket": "the archive's recordings",
    "Database": "the records",
    "Function": "the address that Zoom and Recall know, and running requests",
    "IAMCustomRole": "an id that Google blocks for weeks after a deletion",
    "Queue": "tasks, and a name that Google blocks for a week after a deletion",
    "Secret": "its versions, the former one of a rotation too",
    "WorkloadIdentityPool": "an id that Google blocks for 30 days after a deletion",
    "WorkloadIdentityPoolProvider": "an id that Google blocks for 30 days after a deletion",
}
"""Type -> what would be lost with it. An upgrade neither replaces nor deletes any of these."""

SOURCES = "source"
"""The one bucket that holds nothing which cannot be made again."""

WORSE = {
    "replace": "replaced",
    "delete": "deleted",
    "forget": "left behind at Google",
    "refuse": "to be replaced, which its protection refuses",
}


def violations(runner: Runner, before: World, release: Release, program: Path | None = None) -> Iterator[str]:
    """What `pulumi up` of the program would do in the release's cloud and must not, one sentence each. The configuration stays."""
    after = runner.act(before, release.config, program=program)
    for step in after.steps:
        kind = step.type.rsplit(":", 1)[-1]
        if kind in HOLDS and step.verb in WORSE and step.name != SOURCES:
            yield f"{step.name} ({kind}: {HOLDS[kind]}) is {WORSE[step.verb]}"
    for role, member in after.gaps:
        yield f"{member} is without {role} for a moment"
    for on, role, member in sorted(after.missing):
        yield f"{member} loses {role} on {on}"
    for error in after.errors:
        yield f"the upgrade fails: {error}"
    if not after.errors and (changed := runner.act(after, release.config, program=program).changed):
        yield f"a second `pulumi up` finds something to do: {', '.join(sorted(changed))}"
