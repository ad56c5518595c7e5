"""Where Pulumi's own engine is: `pulumi` on the PATH, else one that was built on this machine (tests/pulumi_engine) and kept."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path


class EngineMissing(Exception):
    """No engine here, and why: what would have to be installed."""


def kept() -> Path:
    """The folder of the engines that were built here. Each is `VERSION/bin/pulumi`, as Pulumi's Automation API expects it."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "rtmskit" / "pulumi"


def root() -> Path | None:
    """The folder whose `bin/pulumi` is the engine; None: `pulumi` from PATH is. Raises `EngineMissing`."""
    if shutil.which("pulumi"):
        return None
    built = [folder for folder in kept().glob("v*") if (folder / "bin" / "pulumi").exists()]
    if not built:
        raise EngineMissing(f"`pulumi` is not on PATH, and no engine was built into {kept()}")
    return max(built, key=_numbers)


def _numbers(folder: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", folder.name)]
