"""Fixtures for people who test their own receiver against the fakes (`rtms_simulator.testing.sandbox`).

::

    def test_a_meeting_is_handed_on(rtms_world, my_receiver):
        my_receiver.start(**rtms_world.environment())
        report = rtms_world.play(my_receiver.url)
        assert report.joined

At the end of each test the world's invariants are asserted: nothing lost, nothing doubled, nobody let in. A test that means to
break one says so with `rtms_world.allow("lost")`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

import pytest

from rtms_simulator.packaging import extras

if TYPE_CHECKING:
    from rtms_simulator.testing.sandbox import WebhookSandbox


MARKER = ("seed", "tls", "faults", "switches")
"""What `@pytest.mark.rtms` takes."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "rtms(seed=0, tls=False, faults=[], switches={}): how `rtms_world` is made")


def _not_taken(marker: pytest.Mark) -> str:
    """The first argument that the marker does not have, as a refusal names it; empty if it has them all."""
    from rtms_simulator.faults.grammar import did_you_mean

    for value in marker.args:
        return f"{value!r:.80} without a name; "
    return next((f"{name!r}; {did_you_mean(name, MARKER)}" for name in sorted(marker.kwargs.keys() - MARKER)), "")


@pytest.fixture
def rtms_world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[WebhookSandbox]:
    """A Zoom, a Recall and a Cloud Tasks of this test's own. Fails the test afterwards if an invariant was broken."""
    if lacking := extras.missing("simulator"):
        pytest.fail(f"rtms_world needs {', '.join(lacking)}, not installed: {extras.advice('test')}", pytrace=False)
    # Late, so that a test run which does not use it pays nothing.
    from rtms_simulator.testing.sandbox import WebhookSandbox

    marker = request.node.get_closest_marker("rtms")
    if marker and (wrong := _not_taken(marker)):
        pytest.fail(f"@pytest.mark.rtms takes no {wrong}allowed: {', '.join(f'{name}=' for name in MARKER)}", pytrace=False)
    world = WebhookSandbox(tmp_path_factory.mktemp("rtms"), **(marker.kwargs if marker else {}))
    world.start()
    try:
        yield world
        problems = world.problems()
    finally:
        world.close()
    if problems:
        pytest.fail("the receiver broke what must hold:\n" + "\n".join(f"  {problem}" for problem in problems), pytrace=False)
