"""Real processes, SIGKILLs and a misbehaving network, on both stores: nothing lost, nothing doubled, every recording home.

`python -m tests.chaos` runs more of it; docs/chaos.md has the figures.
"""

import pytest

from tests import firestore_emulator
from tests.chaos.proxy import SPELLS
from tests.chaos.run import Chaos
from tests.chaos.stores import empty_store

MEETINGS, KILLS = 100, 30


@pytest.mark.timeout(1000)
@pytest.mark.parametrize("kind", ["sqlite", pytest.param("firestore", marks=[pytest.mark.emulator, pytest.mark.once])])
async def test_nothing_is_lost_or_doubled_while_processes_are_killed_and_the_network_misbehaves(tmp_path, kind):
    if kind == "firestore":
        firestore_emulator.require()
    with empty_store(kind, tmp_path) as (state_url, open_store, emulator):
        report = await Chaos(tmp_path, state_url, open_store, emulator=emulator).run(MEETINGS, KILLS)
    print(report)
    assert report.verdict.broken == []
    assert (report.verdict.lost, report.verdict.doubled, report.leaked) == (0, 0, [])
    # Silence about what did not happen proves nothing: it must have been as bad as it was meant to be, and work must have been done.
    assert report.kills.total() == KILLS
    assert {kill.split()[0] for kill in report.kills} == {"webhook", "worker"}
    assert set(report.spells) == set(SPELLS)
    assert report.attempts > report.deliveries > MEETINGS
    assert report.verdict.starts > MEETINGS / 4
    assert report.verdict.outcomes["accepted"] >= 5
    assert report.downloaded >= 5
