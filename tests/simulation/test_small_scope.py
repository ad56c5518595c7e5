"""Small worlds, exhaustively: every order of steps, a crash at every await."""

import pytest

from tests.simulation.small_scope import SCENES, explore

LONG = {"a start answered 507 once", "a start, its two copies, and a stall"}
"""Each takes more than a minute: on demand, `pytest -m long tests/simulation/test_small_scope.py`."""


@pytest.mark.once
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in SCENES])
def test_no_order_and_no_crash_breaks_a_promise(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    findings = explore(name)
    with capsys.disabled():
        print(f"\n{name}: {findings.states} states, {findings.endings} endings, {findings.crashes} crashes, complete {findings.complete}")
    assert findings.complete
    assert findings.endings > 0
