"""What is registered is read as types; nothing is ignored in silence."""

from __future__ import annotations

import pytest

from rtms_infra.rehearsal.facts import FACTS
from rtms_infra.rehearsal.registered import MEANINGS, WITHOUT, Entry, Function, Queue, Registered, SecretVersion, UnreadableResource
from tests.infra.deployment import Runner
from tests.infra.planted import EVERYTHING
from tests.infra.rehearsed import altered, registered

pytestmark = pytest.mark.xdist_group("infra")


def test_every_known_type_has_a_meaning_or_a_reason_for_none() -> None:
    assert set(MEANINGS) | set(WITHOUT) == set(FACTS)
    assert not set(MEANINGS) & set(WITHOUT)


def test_a_type_that_nobody_knows_is_named() -> None:
    entry = Entry(urn="u", type="gcp:pubsub/topic:Topic", name="news", custom=True, inputs={})
    found = Registered([entry], {}, "p")
    assert found.unknown() == ("news",)
    assert any("gcp:pubsub/topic:Topic" in reason for reason in found.nothing_here())


def test_everything_that_the_program_can_register_is_read(runner: Runner) -> None:
    found = registered(runner, **EVERYTHING)
    assert found.unknown() == ()
    for kind, _ in MEANINGS.values():
        assert found.of(kind), kind
    assert set(found.of(Function)) == {"webhook", "worker"}
    assert len(found.of(Queue)) == 4


def test_a_functions_secret_is_a_registered_version(runner: Runner) -> None:
    found = registered(runner)
    versions = {
        (version.secret.rpartition("/")[2], found.computed(name)["version"]): version.secret_data
        for name, version in found.of(SecretVersion).items()
    }
    for function in found.of(Function).values():
        for variable in function.service_config.secret_environment_variables:
            assert (variable.secret, variable.version) in versions


def test_inputs_of_another_form_are_an_error_that_names_the_resource(runner: Runner) -> None:
    found = altered(registered(runner), "queue-facts", rateLimits="fast")
    with pytest.raises(UnreadableResource, match="queue-facts"):
        found.of(Queue)
