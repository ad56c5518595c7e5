"""What a change of each key does, held against what the key says of itself and what docs/upgrade.md promises."""

from __future__ import annotations

import re

import pytest

from rtms_infra.keys import BY_NAME, KEYS
from tests.infra.change_table import OTHER, Change, changes
from tests.infra.deployment import ROOT, Runner
from tests.infra.regenerate import CHANGES, COMMAND, changes_page

# A plan for each key: half a minute on an idle machine, twenty times that on a busy one, and the first test waits for all of them.
pytestmark = [pytest.mark.xdist_group("infra-worlds"), pytest.mark.timeout(1200), pytest.mark.once]

HEAVY = {"name", "region", "secondRegion", "databaseLocation"}
"""Keys whose change moves state or a function."""


@pytest.fixture(scope="module")
def production(runner: Runner) -> dict[str, Change]:
    return changes(runner, "production")


def test_every_key_has_another_value() -> None:
    assert set(OTHER) == {key.name for key in KEYS}


def test_every_change_does_something_and_nothing_fails(production: dict[str, Change]) -> None:
    assert set(production) == {*OTHER, "gcp:project"}
    assert {name: row.failed for name, row in production.items() if row.failed} == {}
    nothing = [name for name, row in production.items() if not (row.updated or row.created or row.replaced or row.deleted or row.refused)]
    assert nothing == []


def test_what_moves_state_or_functions_says_so_and_is_refused_while_protected(production: dict[str, Change]) -> None:
    heavy = {name for name, row in production.items() if row.heavy}
    assert heavy == HEAVY | {"gcp:project"}
    for name in heavy - {"gcp:project"}:
        assert "replaces" in BY_NAME[name].meaning, name
        assert "refused" in BY_NAME[name].meaning, name
    assert all(production[name].refused for name in heavy)


def test_the_upgrade_page_names_exactly_these(production: dict[str, Change]) -> None:
    line = next(line for line in (ROOT / "docs" / "upgrade.md").read_text().splitlines() if line.startswith("| any setting but"))
    assert set(re.findall(r"`([\w:]+)`", line.split("|")[1])) == {name for name, row in production.items() if row.heavy}


def test_the_page_of_changes_is_what_the_plans_say(production: dict[str, Change]) -> None:
    assert CHANGES.read_text() == changes_page(production), f"{COMMAND} changes"


def test_no_change_takes_a_grant_away_for_a_moment(production: dict[str, Change]) -> None:
    assert {name: row.gaps for name, row in production.items() if row.gaps} == {}


def test_every_replacement_is_new_first_but_for_what_clashes(production: dict[str, Change]) -> None:
    done = {name: row for name, row in production.items() if not row.refused}  # of a refused plan nothing is carried out
    old_first = {name: [r for r, how in row.replaced.items() if how == "old first"] for name, row in done.items()}
    assert {name: names for name, names in old_first.items() if names} == {}


@pytest.mark.parametrize("name", ["minimal", "development", "behind-a-load-balancer"])
def test_the_other_examples_agree_about_what_is_heavy(runner: Runner, name: str) -> None:
    keys = ("region", "secondRegion", "databaseLocation", "recallRegion", "archive", "protect", "recallWebhookSecrets", "gcp:project")
    rows = changes(runner, name, keys)
    unprotected = name == "development"
    for key, row in rows.items():
        if key in HEAVY or key == "gcp:project":
            assert row.heavy, key
            assert bool(row.refused) != unprotected, key
            # The id of a deleted database is refused for some minutes: without protection the move of one takes a second run.
            assert row.failed == (("database",) if unprotected and key in ("region", "databaseLocation") else ()), key
        else:
            assert not row.heavy, key
