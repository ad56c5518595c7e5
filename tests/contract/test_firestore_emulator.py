"""The emulator is started by the tests themselves: where there is none they are skipped, unless one is required."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests import firestore_emulator as tests_own

from rtms_simulator.serving import firestore_emulator as official


@pytest.fixture
def no_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RTMSKIT_REQUIRE_EMULATOR", raising=False)


@pytest.mark.usefixtures("no_emulator")
def test_without_java_its_tests_are_skipped_with_the_reason() -> None:
    with pytest.raises(pytest.skip.Exception, match="no Java on PATH"):
        tests_own.require()


@pytest.mark.usefixtures("no_emulator")
def test_without_java_its_tests_fail_if_it_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RTMSKIT_REQUIRE_EMULATOR", "1")
    with pytest.raises(pytest.fail.Exception, match="RTMSKIT_REQUIRE_EMULATOR=1, but no Java"):
        tests_own.require()


def test_a_jar_that_is_not_there_is_no_emulator(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(official.shutil, "which", lambda _: "/usr/bin/anything")
    monkeypatch.setenv("RTMSKIT_FIRESTORE_EMULATOR_JAR", str(tmp_path / "none.jar"))
    official._jar.cache_clear()
    assert "not installed" in str(official.unavailable())
    official._jar.cache_clear()
