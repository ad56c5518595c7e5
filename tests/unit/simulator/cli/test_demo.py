"""`rtmskit demo` before anything is started: what cannot be demonstrated is explained. (tests/e2e/test_demo.py runs it.)"""

import pytest


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--scenario", "nope"], "there is no scenario 'nope'"),
        (["--scenario", "twenty-at-once"], "a demo plays one"),
        (["--speed", "0"], "speed is '0'"),
        (["--speed", "nan"], "speed is 'nan'"),
        (["--seed", "x"], "'x' is not a valid integer"),
    ],
)
def test_what_cannot_be_demonstrated_is_explained(rtmskit, arguments, says):
    done = rtmskit("demo", *arguments)
    assert done.exit_code == 2
    assert says in done.stderr
