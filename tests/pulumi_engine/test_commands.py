"""The unmodified program in the real Pulumi engine, command by command, against the local cloud."""

from __future__ import annotations

import pytest
from pulumi.automation.errors import CommandError

from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.pulumi_stack import EngineStack
from tests.infra.deployment import SECRETS, configured

pytestmark = pytest.mark.timeout(600)


def test_a_destroy_of_a_protected_stack_is_refused_as_a_whole(stack: EngineStack, cloud: Cloud) -> None:
    stack.set(configured())
    stack.up()
    before = (set(cloud.resources), set(cloud.grants))
    with pytest.raises(CommandError, match=r"cannot be deleted\s+because it is protected"):
        stack.destroy()
    assert (set(cloud.resources), set(cloud.grants)) == before


def test_without_a_preview_a_destroy_takes_everything_but_what_is_protected(stack: EngineStack, cloud: Cloud) -> None:
    """`pulumi destroy --skip-preview` is what docs/tear-down.md warns of: the webhook goes, and what holds state stays."""
    stack.set(configured())
    stack.up()
    with pytest.raises(CommandError, match="protected"):
        stack.destroy(unplanned=True)
    kinds = {kind.rpartition(":")[2] for kind, _ in cloud.resources.values()}
    assert {"Database", "Queue"} <= kinds
    assert "Function" not in kinds


def test_secrets_are_encrypted_in_the_state_file(stack: EngineStack) -> None:
    stack.set(configured())
    stack.up()
    state = stack.state()
    assert "version-zoom-secret-token" in state
    assert [name for name, value in SECRETS.items() if name != "gcp:project" and value in state] == []


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"region": "mars-1"}, "rtmskit:region"), ({"recallApiKey": ""}, "rtmskit:recallApiKey"), ({"regoin": "us-east4"}, "rtmskit:regoin")],
)
def test_a_bad_configuration_is_named_and_changes_nothing(stack: EngineStack, cloud: Cloud, changed: dict[str, object], named: str) -> None:
    stack.set(configured(**changed))
    with pytest.raises(CommandError) as refused:
        stack.up()
    assert named in str(refused.value)
    assert cloud.resources == {}
