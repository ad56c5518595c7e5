"""Names that every archive can keep: Cloud Storage's limit of 1,024 bytes, file names of at most 200, and no way out of a folder."""

from __future__ import annotations

import pytest

from rtms_relay.adapters.objects import check_name, check_prefix
from rtms_relay.errors import ArchiveError

LONGEST = "/".join(["x" * 200] * 5 + ["y" * 19])


@pytest.mark.parametrize("name", ["a", "A-b_c.9", ".hidden", "a..b", "...x", "x" * 200, "h/r/video.mp4", LONGEST])
def test_a_name_that_every_archive_can_keep_is_taken(name: str) -> None:
    assert check_name(name) is None
    assert check_prefix(f"{name}/") is None


NO_NAMES = [
    *("", "/", "a/", "/a", "a//b", ".", "..", "...", "a/../b", "a/.", "a b", "a\n", "\u00e9", "a\\b", "a:b", "a\x00"),
    *("x" * 201, f"a/{'x' * 201}", f"{LONGEST}y"),
]


@pytest.mark.parametrize("name", NO_NAMES, ids=ascii)
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ArchiveError, match=r"^an object's name is made of parts \[A-Za-z0-9\._-\]\{1,200\}, none only dots"):
        check_name(name)
    with pytest.raises(ArchiveError):
        check_prefix(f"{name}/")


def test_a_prefix_ends_where_a_part_ends() -> None:
    assert len(LONGEST) == 1_024
    for prefix in ("a", "", "h/r"):
        with pytest.raises(ArchiveError, match=r"^a prefix ends in /$"):
            check_prefix(prefix)
