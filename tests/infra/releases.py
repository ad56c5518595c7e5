"""What each release registers on the example stacks: `python -m tests.infra.releases` keeps it, and upgrades from it are tested for ever.

A fixture is a file for each stack, tests/infra/released/VERSION/STACK.jsonl: first the configuration, then a registration a line, each
after what it depends on. Secrets are those of the tests. The archive of the code is not kept: a text stands for it.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from tests.infra.deployment import EXAMPLES, ROOT, Deployment, Resource, Runner, example

COMMAND = "python -m tests.infra.releases"
FOLDER = Path(__file__).with_name("released")


@dataclass(frozen=True)
class Release:
    """One example stack as a version deployed it. `provider`: the version of pulumi-gcp. `resources`: in an order of creation."""

    version: str
    stack: str
    provider: str
    config: Mapping[str, str]
    resources: tuple[Resource, ...]


def this_version() -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"])


def kept() -> list[tuple[str, str]]:
    """(version, stack) of every fixture."""
    return sorted((path.parent.name, path.stem) for path in FOLDER.glob("*/*.jsonl"))


def read(version: str, stack: str) -> Release:
    head, *rows = [json.loads(line) for line in (FOLDER / version / f"{stack}.jsonl").read_text().splitlines()]
    return Release(version, stack, head["provider"], head["config"], tuple(Resource(**row) for row in rows))


def text(deployment: Deployment) -> str:
    """The file's text for what a stack registers now."""
    head = {"provider": installed("pulumi-gcp"), "config": dict(sorted(deployment.config.items()))}
    rows = [_row(resource) for resource in in_order(deployment.resources)]
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in (head, *rows))


def in_order(resources: Iterable[Resource]) -> Iterator[Resource]:
    """Each after its parent and all that it depends on; otherwise by URN, so that the order is always the same."""
    waiting = {resource.urn: resource for resource in sorted(resources, key=lambda resource: resource.urn)}
    while waiting:
        ready = [one for one in waiting.values() if not {one.parent, one.deleted_with, *one.dependencies} & waiting.keys()]
        for resource in ready:
            yield waiting.pop(resource.urn)


def _row(resource: Resource) -> dict[str, Any]:
    """Everything that is not as it is by default."""
    row = {**asdict(resource), "inputs": _without_archive(resource.inputs)}
    by_default = {field.name: field.default for field in fields(Resource) if field.default is not MISSING}
    by_default |= {field.name: field.default_factory() for field in fields(Resource) if field.default_factory is not MISSING}
    return {name: value for name, value in row.items() if name not in by_default or value != by_default[name]}


def _without_archive(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The archive, in one input of one resource, becomes a text of its name."""
    stands_for = {"$asset": sha256(archive_text(inputs).encode()).hexdigest()}
    return {name: stands_for if isinstance(value, dict) and "$asset" in value else value for name, value in inputs.items()}


def archive_text(inputs: Mapping[str, Any]) -> str:
    """What stands for the archive in the object that has these inputs."""
    return f"the archive {inputs.get('name')} of a release"


def write(runner: Runner, version: str, names: Iterable[str] = EXAMPLES) -> list[Path]:
    """Keep what the example stacks register now as what this version does. Returns the files."""
    written = []
    for name in names:
        deployment = runner.run(example(name))
        if deployment.error:
            raise RuntimeError(f"{name}: {deployment.error}")
        path = FOLDER / version / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(deployment))
        written.append(path)
    return written


def main(arguments: list[str]) -> int:
    """Write the fixture of the version in pyproject.toml. One that is there stays, unless `--again` says that it is not released yet."""
    version = this_version()
    if (FOLDER / version).exists() and "--again" not in arguments:
        sys.stderr.write(
            f"The fixture of {version} is there, and a released version's never changes. Is it not released yet? {COMMAND} --again\n"
        )
        return 1
    runner = Runner()
    try:
        for path in write(runner, version):
            sys.stdout.write(f"wrote {path.relative_to(ROOT)}\n")
    finally:
        runner.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
