"""The real Pulumi engine's binary: `pulumi` from PATH, else built once from go.mod beside this file and kept in the user's cache.

The version is a Go tool dependency, held by go.sum. Building takes about four minutes on two cores; nothing is built twice.
`python -m tests.pulumi_engine.binary` builds it now and prints where it is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from rtms_infra.rehearsal import pulumi_binary
from rtms_infra.rehearsal.pulumi_binary import EngineMissing

HERE = Path(__file__).parent
PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
"""Set by the linker, as Pulumi's own Makefile does; without it the binary does not know its version and the SDK refuses it."""

BUILD_LIMIT_S = 1500


def version() -> str:
    """The version in go.mod, such as `v3.274.1`."""
    line = re.search(r"github\.com/pulumi/pulumi/pkg/v3 (v\S+)", (HERE / "go.mod").read_text())
    assert line is not None, "go.mod names no version of pulumi"
    return line.group(1)


def cache() -> Path:
    """Where the built engine of this version is kept. Its binary is `bin/pulumi` below."""
    return pulumi_binary.kept() / version()


def root() -> Path | None:
    """The folder whose `bin/pulumi` is the engine; None: `pulumi` from PATH is. Raises `EngineMissing`."""
    if shutil.which("pulumi"):
        return None
    kept = cache()
    if not (kept / "bin" / "pulumi").exists():
        _build(kept)
    return kept


def _build(target: Path) -> None:
    go = shutil.which("go")
    if go is None:
        raise EngineMissing(
            "neither `pulumi` nor `go` is on PATH; install one of them (Go builds the engine from tests/pulumi_engine/go.mod)"
        )
    partial = target / "bin" / f"pulumi.{os.getpid()}"
    partial.parent.mkdir(parents=True, exist_ok=True)
    print("Building Pulumi's engine with Go, once, for the tests: about four minutes on two cores ...", file=sys.stderr, flush=True)
    command = [go, "build", "-ldflags", f"-s -w -X {VERSION_VARIABLE}={version()}", "-o", str(partial), PACKAGE]
    try:
        built = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        raise EngineMissing(
            f"`go build {PACKAGE}` took longer than {BUILD_LIMIT_S} s; what it has built is kept for the next try"
        ) from None
    if built.returncode:
        raise EngineMissing(f"`go build {PACKAGE}` failed with exit code {built.returncode}: {built.stderr[-2000:]}")
    # A rename is atomic, so a parallel test process never runs half a binary.
    partial.replace(target / "bin" / "pulumi")


def required() -> bool:
    """Whether a missing engine is a failure (`.ci/run` says so)."""
    return os.environ.get("RTMSKIT_REQUIRE_PULUMI") == "1"


def main() -> int:
    try:
        folder = root()
    except EngineMissing as error:
        print(f"the Pulumi engine is missing: {error}", file=sys.stderr)
        return 1 if required() else 0
    print(folder / "bin" / "pulumi" if folder else shutil.which("pulumi"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
