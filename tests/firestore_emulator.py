"""The official Firestore emulator, started by the tests themselves.

`require()` skips or fails a test where it cannot run, `emulator()` runs one for a `with` block. It is found where gcloud keeps
it, or by RTMSKIT_FIRESTORE_EMULATOR_JAR, and started as plain Java with a small heap: faster and smaller than through gcloud.
"""

from __future__ import annotations

import functools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rtms_simulator.serving.processes import LIFELINE

_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_JVM_FLAGS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_START_S = 40.0
_TRIES = 3


def unavailable() -> str | None:
    """Why no emulator can run on this machine, or None."""
    if not _java():
        return "no Java on PATH"
    if _jar() is None:
        return "the Firestore emulator is not installed (gcloud components install cloud-firestore-emulator)"
    return None


def require() -> None:
    """Skip the test if no emulator can run here; fail it if RTMSKIT_REQUIRE_EMULATOR=1 says that one must."""
    reason = unavailable()
    if reason is None:
        return
    if os.environ.get("RTMSKIT_REQUIRE_EMULATOR") == "1":
        pytest.fail(f"RTMSKIT_REQUIRE_EMULATOR=1, but {reason}")
    pytest.skip(reason)


@contextmanager
def emulator() -> Generator[str, None, None]:
    """Run an emulator on a free loopback port; gives `host:port` for FIRESTORE_EMULATOR_HOST. It is killed at the end of the block."""
    jar = _jar()
    if jar is None:
        raise RuntimeError(unavailable())
    with tempfile.TemporaryFile() as log:
        for remaining in reversed(range(_TRIES)):
            port = _free_port()
            java = [_java(), *_JVM_FLAGS, "-cp", str(jar), _MAIN_CLASS, "--host=127.0.0.1", f"--port={port}"]
            # It must not outlive the tests, however they end.
            command = [sys.executable, "-I", "-S", str(LIFELINE), str(os.getpid()), *java]
            # Its own session, so that a Ctrl-C at the tests does not take it away before they have finished with it.
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
            try:
                if _answers(process, port):
                    yield f"127.0.0.1:{port}"
                    return
            finally:
                process.kill()
                process.wait()
            if remaining == 0:
                log.seek(0)
                raise RuntimeError(f"the Firestore emulator did not start: {log.read()[-2000:].decode(errors='replace')}")


@functools.cache
def _jar() -> Path | None:
    given = os.environ.get("RTMSKIT_FIRESTORE_EMULATOR_JAR")
    if given:
        return Path(given) if Path(given).is_file() else None
    if shutil.which("gcloud") is None:
        return None
    asked = subprocess.run(
        ["gcloud", "info", "--format=value(installation.sdk_root)"], capture_output=True, text=True, timeout=60, check=False
    )
    jar = Path(asked.stdout.strip()) / "platform" / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
    return jar if jar.is_file() else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        except OSError:
            time.sleep(0.05)
    return False


def _java() -> str:
    return shutil.which("java") or ""
