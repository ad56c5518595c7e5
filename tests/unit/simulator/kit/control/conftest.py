"""The fakes of a stack without functions on a frozen clock, and a client of their control plane."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest

from rtms_simulator.kit.stack import Plan, Stack

TOKEN = "a token of this test"
HOOK = "http://127.0.0.1:1/zoom-webhook"


@pytest.fixture
async def stack(tmp_path) -> AsyncGenerator[Stack]:
    one = Stack(Plan(tmp_path, function=False, control_token=TOKEN))
    await one.start()
    yield one
    await one.aclose()


@pytest.fixture
async def control(stack) -> AsyncGenerator[httpx.AsyncClient]:
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with httpx.AsyncClient(base_url=stack.described().control_url, headers=headers, trust_env=False, timeout=30) as client:
        yield client
