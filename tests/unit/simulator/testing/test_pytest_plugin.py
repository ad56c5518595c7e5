"""The marker `rtms` in a test session of somebody's own: what it gives `rtms_world`, and what it says of what it does not take."""

import pytest

pytest_plugins = ["pytester"]

TEST = """
import pytest

@pytest.mark.rtms({marker})
def test_it(rtms_world):
    rtms_world.allow("unused")
    print("faults", [str(one.fault) for one in rtms_world.stack.faults.listed()])
    print("close code", rtms_world.stack.zoom.switches.close_code)
    print("seed", rtms_world.stack.zoom.seed)
"""


def session(pytester: pytest.Pytester, marker: str) -> pytest.RunResult:
    pytester.makepyfile(TEST.format(marker=marker))
    return pytester.runpytest_subprocess("-rP", "-p", "no:cacheprovider", "-p", "no:asyncio", "-p", "no:xdist", "--strict-markers")


def test_the_marker_arms_faults_and_sets_switches(pytester):
    done = session(pytester, 'faults=["recall.create: 503", "zoom.webhook.*: late"], switches={"zoom.close_code": 1001}, seed=7')
    done.assert_outcomes(passed=1)
    assert "faults ['recall.create: 503', 'zoom.webhook.*: late']\nclose code 1001\nseed 7\n" in done.stdout.str()


def test_without_keys_nothing_is_armed_or_set(pytester):
    done = session(pytester, "")
    done.assert_outcomes(passed=1)
    assert "faults []\nclose code 1000\nseed 0\n" in done.stdout.str()


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ("fault=['recall.create: 503']", "takes no 'fault'; did you mean faults? allowed: seed=, tls=, faults=, switches="),
        ("7", "takes no 7 without a name; allowed: seed=, tls=, faults=, switches="),
        ("7, seed=8", "takes no 7 without a name; allowed: seed="),
        ("faults=['recall.made: 503']", "allowed: "),
        ("switches={'zoom.close_cod': 1001}", "there is no switch zoom.close_cod; did you mean zoom.close_code"),
    ],
    ids=["key", "position", "both", "fault", "switch"],
)
def test_what_it_does_not_take_is_said_with_what_is_allowed(pytester, marker, says):
    done = session(pytester, marker)
    done.assert_outcomes(errors=1)
    assert says in done.stdout.str()
