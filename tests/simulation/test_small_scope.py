"""Small worlds, exhaustively: every order of steps, a crash at every await."""

import pytest

from tests.simulation.small_scope import SCENES, explore


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", list(SCENES))
def test_no_order_and_no_crash_breaks_a_promise(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    findings = explore(name)
    with capsys.disabled():
        print(f"\n{name}: {findings.states} states, {findings.endings} endings, {findings.crashes} crashes, complete {findings.complete}")
    assert findings.complete
    assert findings.endings > 0
