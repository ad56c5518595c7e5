"""A slice of `python -m tests.property.zoom.digests`: runs in processes of their own, beside busy cores, have the same bytes."""

from __future__ import annotations

import pytest
from tests.property.zoom.digests import PLAYS, busy_cores, in_a_process


@pytest.mark.timeout(400)
def test_runs_in_processes_of_their_own_have_equal_bytes_pictures_too() -> None:
    with busy_cores():
        first, second = in_a_process(), in_a_process()
    assert first == second
    assert {name: tuple(kinds) for name, kinds in first.items()} == {name: kinds for name, (_speed, kinds) in PLAYS.items()}
    # At every speed there is the same sound, and there are the same pictures.
    assert len({kinds["audio"] for kinds in first.values()}) == 1
    assert first["four times"] == first["max"]
