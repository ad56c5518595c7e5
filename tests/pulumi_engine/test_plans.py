"""Each command on each example stack: Pulumi's own engine does what the in-process one says (which docs/plans.md prints).

The expectations that do not come from a second engine are here, too: what is created, that a second `up` is quiet, what protection holds.
"""

from __future__ import annotations

import pytest

from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.pulumi_stack import EngineStack
from tests.infra.deployment import EXAMPLES, Runner, example
from tests.pulumi_engine.plans import InProcess, Plan, PulumisOwn, first, last

pytestmark = pytest.mark.timeout(600)

STATE = {"database", "queue-handoffs", "queue-handoffs-second", "queue-facts", "queue-retrievals"}
"""What `destroy` names as protected. The archive is, too: it is not come to, as the others depend on it and stay."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_both_engines_do_the_same_from_the_first_preview_to_an_up_after_a_destroy(
    stack: EngineStack, cloud: Cloud, runner: Runner, name: str
) -> None:
    own, ours = PulumisOwn(stack, cloud), InProcess(runner)
    began = dict(first(own, name))
    assert began == dict(first(ours, name))
    assert set(began["`preview`"].changes.values()) == {"create"}
    assert began["`up`"] == began["`preview`"]
    assert [began[label] for label in ("`preview` again", "`up` again", "`refresh`")] == [Plan()] * 3
    ended = dict(last(own, name))
    assert ended == dict(last(ours, name))
    protected = example(name).get("rtmskit:protect") != "false"
    assert ended.get("`destroy`", Plan()).refused == (STATE if protected else set())
    assert set(ended["`destroy` after it"].changes) == set(began["`up`"].changes)
    assert set(ended["`up` 40 days later"].changes) == set(began["`up`"].changes)
