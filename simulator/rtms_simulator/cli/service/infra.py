"""`rtmskit infra init DIR`: the Pulumi project as files, from the installed package or from a checkout."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json
from rtms_simulator.cli.pages import PAGES
from rtms_simulator.cli.play.outcome import BadInput

PROJECT = (
    "Pulumi.yaml",
    "infra/__main__.py",
    "infra/requirements.in",
    "infra/requirements.txt",
    "infra/stacks",
    "function/main.py",
    "function/requirements.txt",
)
"""The files of the project beside the packages `rtms_infra` and `rtms_relay`. A wheel has them in the folder `rtmskit_project`."""

PACKAGES = {"infra/rtms_infra": "rtms_infra", "function/rtms_relay": "rtms_relay"}
"""Folder of the project -> the package that is in it."""


@click.group()
def infra() -> None:
    """Write the Pulumi project that deploys the functions."""


@infra.command()
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@as_json_option
def init(folder: Path, *, as_json: bool) -> None:
    """Write Pulumi.yaml, infra/ and function/ into DIR, which is created. Nothing is overwritten."""
    sources = dict(files())
    existing = sorted(name for name in sources if (folder / name).exists())
    if existing:
        more = f" and {len(existing) - 3} more" if len(existing) > 3 else ""
        raise BadInput(f"{folder} has {', '.join(existing[:3])}{more} already.", "name an empty folder, or move those files away")
    try:
        for name, source in sources.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, folder / name)
    except OSError as error:
        raise BadInput(f"{error.filename}: {error.strerror}.", "name a folder that can be written") from None
    if as_json:
        say_json({"folder": str(folder), "files": sorted(sources)})
        return
    click.echo(f"{len(sources)} files in {folder}. Next, with the command lines of Pulumi and gcloud ({PAGES}/deploy.md):")
    click.echo(f"  cd {folder}\n  pulumi install\n  pulumi stack init prod")


def files() -> Iterator[tuple[str, Path]]:
    """(path in the project, the file it is copied from), without caches."""
    for folder, package in PACKAGES.items():
        place = _package(package)
        yield from ((f"{folder}/{path.relative_to(place)}", path) for path in _below(place))
    root = _root()
    for name in PROJECT:
        if (root / name).is_dir():
            yield from ((str(path.relative_to(root)), path) for path in _below(root / name))
        else:
            yield name, root / name


def _below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _package(name: str) -> Path:
    """The folder of an installed package, found without importing it: the two sides meet only over the wire."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise BadInput(f"the package {name} is not installed.", "install rtmskit again")
    return Path(spec.origin).parent


def _root() -> Path:
    """The folder that has the files of the project: of the wheel, or of the checkout."""
    packed = _package("rtms_infra").parent / "rtmskit_project"
    root = packed if (packed / PROJECT[0]).is_file() else _package("rtms_infra").parents[1]
    missing = [name for name in PROJECT if not (root / name).exists()]
    if missing:
        raise BadInput(f"{root} lacks {', '.join(missing)}.", "install rtmskit again")
    return root
