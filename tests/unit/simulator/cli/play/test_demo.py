"""`rtmskit demo` before anything is started: what cannot be demonstrated is explained. (tests/e2e/test_demo.py runs it.)"""

import pytest

from rtms_simulator.cli.play.demo import _told
from rtms_simulator.cli.play.verdict import DO, OUTCOMES
from rtms_simulator.control.run_summary import RunTimes
from rtms_simulator.kit.control.invariants import RULES
from rtms_simulator.scenario import actions


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scenario", "nope"], "there is no scenario 'nope'"),
        (["--scenario", "twenty-at-once"], "a demo plays one"),
        (["--speed", "0"], "speed is '0'"),
        (["--speed", "nan"], "speed is 'nan'"),
        (["--seed", "x"], "'x' is not a valid integer"),
        (["--set", "zoom.closecode=1001"], "there is no switch zoom.closecode; did you mean zoom.close_code?"),
        (["--set", "page_size=3"], "there is no switch 'page_size'; a name is zoom.NAME"),
        (["--set", "zoom.close_code=x"], "zoom.close_code cannot be 'x'"),
        (["--set", "zoom.close_code"], "'zoom.close_code' has no value"),
        (["--fault", "recal.create: 503"], "did you mean recall.create?"),
        (["--fault", "recall.create: slw"], "did you mean slow?"),
    ],
)
def test_what_cannot_be_demonstrated_is_explained(rtmskit, arguments, says):
    done = rtmskit("demo", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr


def test_the_outcomes_are_those_of_scenarios():
    assert OUTCOMES == actions.OUTCOMES
    assert set(DO) == set(RULES) - {"unused"}  # what faults do not do is said by itself


def test_the_timeline_is_told_in_the_order_in_which_it_happened():
    told = _told(RunTimes(started=0, acked=64, accepted=1260, joined=254, stopped=12_000, recorded=12_500, downloaded=13_000))
    assert [at for at, _ in told] == ["0 ms", "64 ms", "254 ms", "1,260 ms", "12,000 ms", "12,500 ms", "13,000 ms"]
    assert told[2][1] == "Recall joined the stream"
