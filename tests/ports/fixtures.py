"""Fixtures for folders whose tests use `Bench`: their conftest.py imports them."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from tests.ports.bench import OPENED


@pytest.fixture(autouse=True)
async def benches_closed() -> AsyncGenerator[None, None]:
    """What a bench has under way ends with its test."""
    OPENED.clear()
    yield
    for bench in OPENED:
        await bench.close()
    OPENED.clear()
