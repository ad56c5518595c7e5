from __future__ import annotations

import subprocess
import sys

import pytest

MODULES = [
    *("documents", "objects", "sqlite", "sqlite_file", "firestore", "cloud_tasks", "local_queue", "local_dispatch"),
    *("archive_files", "archive_gcs", "identity"),
]


@pytest.mark.parametrize("module", MODULES)
def test_importing_an_adapter_imports_no_vendor_library(module: str) -> None:
    """The webhook starts with only what it uses; each client is imported with its first call."""
    code = f"import sys, rtms_relay.adapters.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # The `google` namespace itself is put there by some distributions' .pth files.
    vendors = {name for name in done.stdout.split() if name.split(".")[0] in {"google", "grpc", "requests", "httpx"}}
    assert vendors <= {"google", "google.cloud"}
