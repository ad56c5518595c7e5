"""Runs `sdk_app.py` and gathers what Zoom's own client says."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FIRED: dict[str, set[str]] = {}
"""Which test saw which call-back; printed as a matrix at the end of the module."""


def require_sdk() -> None:
    """Skip without Zoom's package, unless the environment says that it must be there."""
    if importlib.util.find_spec("rtms") is None:
        if os.environ.get("RTMSKIT_REQUIRE_CONFORMANCE"):
            pytest.fail("Zoom's `rtms` package is not installed, and RTMSKIT_REQUIRE_CONFORMANCE is set")
        pytest.skip("Zoom's `rtms` package is not installed")


@dataclass
class SdkApp:
    """A running app. `said` grows with every call-back."""

    process: asyncio.subprocess.Process
    config: Path
    url: str = ""
    said: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def ask(self, **config: Any) -> None:
        """What to do at the next rtms_started: media={kind: params or None}, watch, events."""
        self.config.write_text(json.dumps(config))

    def heard(self, callback: str, *, stream: str | None = None) -> list[list[Any]]:
        return [line["args"] for line in self.said if line["callback"] == callback and stream in (None, line.get("stream"))]

    def totals(self, stream: str) -> dict[str, Any]:
        return next(line["totals"] for line in self.said if line["callback"] == "on_leave" and line["stream"] == stream)

    async def until(self, true: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Return the first true value of `true`. Fails with everything that was said."""
        try:
            async with asyncio.timeout(seconds):
                while not (found := true()):
                    self.news.clear()
                    await self.news.wait()
                return found
        except TimeoutError:
            pytest.fail("Zoom's client did not say it; it said\n" + "\n".join(map(str, self.said[-40:])))

    async def left(self, stream: str) -> int:
        """The reason of on_leave."""
        return (await self.until(lambda: self.heard("on_leave", stream=stream)))[0][0]

    async def confirmed(self, stream: str) -> int:
        """The code of on_join_confirm."""
        return (await self.until(lambda: self.heard("on_join_confirm", stream=stream)))[0][0]


@asynccontextmanager
async def sdk_app(tmp_path: Path, name: str, *, client_id: str, client_secret: str, ca_file: Path | None = None) -> AsyncGenerator[SdkApp]:
    require_sdk()
    config = tmp_path / "sdk.json"
    config.write_text(json.dumps({"media": {"audio": None}}))
    read_fd, write_fd = os.pipe()
    environment = os.environ | {
        "ZM_RTMS_CLIENT": client_id,
        "ZM_RTMS_SECRET": client_secret,
        "ZM_RTMS_LOG_ENABLED": "false",
        **({"ZM_RTMS_CA": str(ca_file)} if ca_file else {}),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("sdk_app.py")),
        str(config),
        str(write_fd),
        pass_fds=(write_fd,),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=tmp_path,
        env=environment,
    )
    os.close(write_fd)
    app = SdkApp(process, config)
    reader = asyncio.create_task(_listen(app, read_fd))
    try:
        app.url = (await app.until(lambda: app.heard("listening")))[0][0]
        yield app
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()  # the package can block for ever inside a call-back, holding the interpreter
            await process.wait()
        await reader
        for line in app.said:
            if line["callback"].startswith("on_"):
                FIRED.setdefault(line["callback"], set()).add(name)


async def _listen(app: SdkApp, fd: int) -> None:
    stream = asyncio.StreamReader(limit=2**24)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(stream), os.fdopen(fd, "rb", buffering=0)
    )
    try:
        while line := await stream.readline():
            app.said.append(json.loads(line))
            app.news.set()
    finally:
        transport.close()
