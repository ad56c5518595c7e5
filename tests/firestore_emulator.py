"""The official Firestore emulator for tests: `require()` skips or fails a test where it cannot run, `emulator()` runs one."""

from __future__ import annotations

import os

import pytest

from rtms_simulator.serving.firestore_emulator import emulator, unavailable

__all__ = ["emulator", "require", "unavailable"]


def require() -> None:
    """Skip the test if no emulator can run here; fail it if RTMSKIT_REQUIRE_EMULATOR=1 says that one must."""
    reason = unavailable()
    if reason is None:
        return
    if os.environ.get("RTMSKIT_REQUIRE_EMULATOR") == "1":
        pytest.fail(f"RTMSKIT_REQUIRE_EMULATOR=1, but {reason}")
    pytest.skip(reason)
