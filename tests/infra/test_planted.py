"""Every planted mistake is caught by the rule that is there for it, and the program as it is violates nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.infra.conftest import Plant
from tests.infra.crosschecks import RULES
from tests.infra.deployment import ROOT, Runner, configured, copy_program
from tests.infra.findings import FINDINGS
from tests.infra.planted import EVERYTHING, MISTAKES, Mistake
from tests.infra.policies import POLICIES, violations
from tests.infra.watchchecks import WATCH_RULES

pytestmark = pytest.mark.xdist_group("infra-planted")  # an engine of its own, beside the others


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One copy of the program; each mistake is put in and taken out again."""
    return copy_program(tmp_path_factory.mktemp("planted"))


def test_the_program_as_it_is_violates_nothing(runner: Runner) -> None:
    assert violations(runner.run(configured(**EVERYTHING))) == {}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: f"{mistake.kind}: {mistake.what}")
def test_a_mistake_is_caught_by_its_rule(runner: Runner, program: Path, mistake: Mistake) -> None:
    path = program / "rtms_infra" / mistake.file
    text = path.read_text()
    assert mistake.old in text, f"{mistake.file} has changed: there is no {mistake.old!r} to replace"
    try:
        path.write_text(text.replace(mistake.old, mistake.new))
        deployment = runner.run(configured(**EVERYTHING), program=program)
    finally:
        path.write_text(text)
    assert not deployment.error, deployment.error
    assert violations(deployment, of=mistake.rule), f"not caught by its rule; by others: {violations(deployment)}"


def test_every_rule_catches_some_mistake() -> None:
    assert {mistake.rule for mistake in MISTAKES} == {*POLICIES, *RULES, *WATCH_RULES}
    assert len(MISTAKES) >= 60


def test_every_finding_of_the_real_provider_has_tests_that_exist() -> None:
    assert [finding.number for finding in FINDINGS] == list(range(1, 13))
    for finding in FINDINGS:
        assert finding.tests, finding.what
        for test in finding.tests:
            path, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / "tests" / path).read_text(), test


def test_a_duplicate_name_is_refused_by_the_engine(runner: Runner, plant: Plant) -> None:
    deployment = runner.run(configured(), program=plant("queues.py", 'f"enqueue-{short}-{role}"', '"enqueue"'))
    assert "Duplicate resource URN" in deployment.error
    assert "::enqueue" in deployment.error
