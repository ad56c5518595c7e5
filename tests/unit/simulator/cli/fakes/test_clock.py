"""`rtmskit clock`: what is neither a rate nor a duration. (tests/e2e/test_up.py moves the clock.)"""

import pytest


@pytest.mark.parametrize("rate", ["nan", "inf", "-1", "1e300"])
def test_a_clock_has_no_such_rate(rtmskit, rate):
    done = rtmskit("clock", "freeze", "--rate", rate)
    assert done.exit_code == 2
    assert "is not a rate" in done.stderr


@pytest.mark.parametrize("by", ["nan", "inf", "-inf", "nanh", "1e300", "-1"])
def test_a_clock_cannot_jump_so_far(rtmskit, monkeypatch, by):
    monkeypatch.setattr("rtms_simulator.cli.fakes.clock.find", lambda _file: {"control_url": "http://127.0.0.1:1"})
    done = rtmskit("clock", "advance", "--", by)
    assert done.exit_code == 2
    assert "is not a duration" in done.stderr
