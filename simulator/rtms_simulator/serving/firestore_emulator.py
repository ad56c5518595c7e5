"""The official Firestore emulator as a child of this process: `emulator()` runs one for a `with` block.

It is found where gcloud keeps it, or by RTMSKIT_FIRESTORE_EMULATOR_JAR, and started as plain Java with a small heap: faster and smaller
than through gcloud.
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

from rtms_simulator.serving.processes import LIFELINE

_MAIN_CLASS = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
_JVM_FLAGS = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_START_S = 40.0
_LOOK_EVERY_S = 0.05
_TRIES = 3


def unavailable() -> str | None:
    """Why no emulator can run on this machine, or None."""
    if not _java():
        return "no Java on PATH"
    if _jar() is None:
        return "the Firestore emulator is not installed (gcloud components install cloud-firestore-emulator)"
    return None


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
            # It must not outlive us, however we end.
            command = [sys.executable, "-I", "-S", str(LIFELINE), str(os.getpid()), *java]
            # Its own session, so that a Ctrl-C does not take it away before those who use it have finished.
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603  # Java and a jar of gcloud's
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
    path = os.environ.get("RTMSKIT_FIRESTORE_EMULATOR_JAR")
    if path:
        return Path(path) if Path(path).is_file() else None
    if shutil.which("gcloud") is None:
        return None
    command = ["gcloud", "info", "--format=value(installation.sdk_root)"]
    # gcloud writes into its configuration even for this: the person's is left alone.
    with tempfile.TemporaryDirectory() as own:
        quiet = {**os.environ, "CLOUDSDK_CONFIG": own}
        result = subprocess.run(command, env=quiet, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603  # gcloud, as on PATH
    jar = Path(result.stdout.strip()) / "platform" / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
    return jar if jar.is_file() else None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether it listens before it ends, or `_START_S` have passed."""
    for _ in range(round(_START_S / _LOOK_EVERY_S)):
        if process.poll() is not None:
            return False
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        except OSError:
            time.sleep(_LOOK_EVERY_S)  # noqa: TID251  # another process is waited for, in real time
    return False


def _java() -> str:
    return shutil.which("java") or ""
