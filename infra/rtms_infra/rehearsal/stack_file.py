"""A stack's settings file as the program's configuration, and the project that is run: copied, with secrets that are made up."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from rtms_infra.keys import NAMESPACE

V = TypeVar("V")

MINIMAL: Mapping[str, str] = {
    "gcp:project": "acme-rtms",
    f"{NAMESPACE}:recallRegion": "us-east-1",
    f"{NAMESPACE}:region": "us-east4",
    f"{NAMESPACE}:zoomClientId": "AbCdEfGhIjKlMnOpQrStUv",
    f"{NAMESPACE}:alertEmails": '["oncall@example.com"]',
}
"""What is rehearsed without a file: the least there is (infra/stacks/minimal.yaml), and one address that alerts go to."""


NEEDED = ("zoomSecretToken", "zoomClientSecret", "recallApiKey", "recallWebhookSecrets")
"""Secrets that every rehearsal has."""


class StackFileError(Exception):
    """The file is not a stack's settings."""


def read(path: Path) -> dict[str, str]:
    """Full name -> text, as Pulumi hands it to the program; encrypted values are left out. Raises `StackFileError`."""
    return {name: as_text(value) for name, value in written(path).items()}


def written(path: Path) -> dict[str, Any]:
    """Full name -> value as it stands in the file; encrypted values are left out. Raises `StackFileError`."""
    return {name: value for name, value in _config(path).items() if not _encrypted(value)}


def encrypted(path: Path) -> list[str]:
    """Full names of the values that the file holds encrypted: they are not read, and others are made up for them."""
    return [name for name, value in _config(path).items() if _encrypted(value)]


def _config(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise StackFileError(f"{path}: {error}") from None
    config = loaded.get("config") if isinstance(loaded, dict) else None
    if not isinstance(config, dict):
        raise StackFileError(f"{path} has no mapping `config`: expected a stack's settings, such as Pulumi.prod.yaml")
    return {str(name) if ":" in str(name) else f"{NAMESPACE}:{name}": value for name, value in config.items()}


def _encrypted(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"}


def as_text(value: Any) -> str:
    """A setting as Pulumi hands it to the program."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def copy_project(root: Path, into: Path) -> Path:
    """Copy Pulumi.yaml, `infra/` and `function/` of a project, so that nothing is written into it. Returns the program's folder."""
    into.mkdir(parents=True, exist_ok=True)
    shutil.copy(root / "Pulumi.yaml", into)
    left_out = shutil.ignore_patterns("__pycache__", ".venv")
    shutil.copytree(root / "function", into / "function", ignore=left_out)
    return Path(shutil.copytree(root / "infra", into / "infra", ignore=left_out))


def complete(config: Mapping[str, V], secret_names: Collection[str], made_up: Mapping[str, str]) -> tuple[dict[str, V | str], list[str]]:
    """The configuration with made-up secrets, and the full names of those that are secrets.

    `secret_names`: names that the file holds encrypted. `made_up`: short name -> value; what every deployment needs is added if
    the file has it not, the rest only if the file holds it. A secret in plain text stays as it is: the program refuses it, as it does for
    `pulumi up`.
    """
    added = {}
    for short, value in made_up.items():
        name = f"{NAMESPACE}:{short}"
        if name not in config and (short in NEEDED or name in secret_names):
            added[name] = value
    return {**config, **added}, sorted(added)
