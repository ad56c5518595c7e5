"""A stack of this checkout in Pulumi's own engine, for tests."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rtms_infra.rehearsal import pulumi_stack, stack_file
from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.pulumi_stack import EngineStack
from tests.pulumi_engine import binary

ROOT = Path(__file__).parents[2]


@contextmanager
def engine_stack(cloud: Cloud, folder: Path, name: str = "prod") -> Generator[EngineStack]:
    """A fresh stack called `name` against `cloud`. Raises `binary.EngineMissing`."""
    engine = binary.root()
    work = folder / "work"
    stack_file.copy_project(ROOT, work)
    with pulumi_stack.engine_stack(cloud, work, name, engine) as made:
        yield made


def use(stack: EngineStack, program: Path) -> None:
    """Have the stack run another program from now on: a folder with a `__main__.py`. Its environment stays."""
    target = stack.folder / "work" / "infra"
    for entry in target.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != ".venv":
            entry.unlink()
    shutil.copytree(program, target, ignore=shutil.ignore_patterns("__pycache__", ".venv"), dirs_exist_ok=True)
