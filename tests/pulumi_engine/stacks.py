"""Drives the real Pulumi engine over the unmodified program, through Pulumi's own Automation API.

Each `EngineStack` has a folder of its own: a copy of `Pulumi.yaml`, `infra/` and `function/`, a state file, a Pulumi home. Nothing outside
is read or asked: the provider and, where it is missing, the language host are attached by port.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation
from pulumi.automation import events

from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.language import language_host
from rtms_infra.rehearsal.service import provider_service
from tests.infra.deployment import SECRET_NAMES
from tests.pulumi_engine import binary

ROOT = Path(__file__).parents[2]
PASSPHRASE = "a passphrase of the tests"


@dataclass(frozen=True, slots=True)
class Step:
    """One planned or executed operation: `create`, `update`, `replace`, `create-replacement`, `delete`, `same`, ..."""

    operation: str
    urn: str
    type: str
    changed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


class EngineStack:
    """One stack in the real engine. Every method raises `automation.errors.CommandError` with the engine's own text when it refuses."""

    def __init__(self, stack: automation.Stack, folder: Path) -> None:
        self._stack = stack
        self.folder = folder
        self.refused: frozenset[str] = frozenset()
        """Names of what protection held in the last command."""

    def set(self, config: Mapping[str, str]) -> None:
        """Replace the stack's configuration. Keys are full (`rtmskit:name`, `gcp:project`); those of `SECRET_NAMES` are set as secrets.

        A list is given as JSON text and stands in the settings file as a list, as a person would write it.
        """
        file = self.folder / "work" / f"Pulumi.{self._stack.name}.yaml"
        file.unlink(missing_ok=True)
        secret = {key: automation.ConfigValue(value, secret=True) for key, value in config.items() if key in SECRET_NAMES}
        self._stack.set_all_config(secret)
        written = yaml.safe_load(file.read_text())
        written["config"] |= {key: _typed(value) for key, value in config.items() if key not in SECRET_NAMES}
        file.write_text(yaml.safe_dump(written))

    def preview(self) -> list[Step]:
        with self._watched() as watch:
            self._stack.preview(on_event=watch)
        return watch.steps

    def up(self) -> list[Step]:
        with self._watched() as watch:
            self._stack.up(on_event=watch)
        return watch.steps

    def refresh(self) -> list[Step]:
        with self._watched() as watch:
            self._stack.refresh(on_event=watch)
        return watch.steps

    def destroy(self, *, unplanned: bool = False) -> list[Step]:
        """`pulumi destroy`: planned first, which is where protection refuses it. `unplanned`: with `--skip-preview`."""
        if not unplanned:
            with self._watched() as watch:
                self._stack.destroy(preview_only=True, on_event=watch)
        with self._watched() as watch:
            self._stack.destroy(on_event=watch)
        return watch.steps

    @contextmanager
    def _watched(self) -> Generator[_Watch]:
        watch = _Watch()
        try:
            yield watch
        finally:
            self.refused = frozenset(watch.refused)

    def outputs(self) -> dict[str, Any]:
        return {name: output.value for name, output in self._stack.outputs().items()}

    def state(self) -> str:
        """The state file's text, secrets encrypted."""
        return (self.folder / "state" / ".pulumi" / "stacks" / "rtmskit" / f"{self._stack.name}.json").read_text()


def _typed(text: str) -> Any:
    return json.loads(text) if text.startswith("[") else text


class _Watch:
    """Collects the steps of one command from the engine's events, and what it refused."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.refused: set[str] = set()

    def __call__(self, event: events.EngineEvent) -> None:
        planned, said = event.resource_pre_event, event.diagnostic_event
        if planned is not None:
            data = planned.metadata
            self.steps.append(Step(str(getattr(data.op, "value", data.op)), data.urn, data.type, tuple(data.diffs or ())))
        if said is not None and said.urn and said.severity == "error" and "protect" in said.message:
            self.refused.add(said.urn.rpartition("::")[2])


def changes(steps: list[Step]) -> dict[str, str]:
    """Name of each resource of Google's that does not stay as it is ->
    `create`, `update`, `delete`, `replace, old first`, `replace, new first`."""
    done: dict[str, str] = {}
    for step in steps:
        if not step.type.startswith("gcp:") or step.operation in ("same", "refresh", "read", "replace"):
            continue
        if step.operation in REPLACING:
            done.setdefault(step.name, REPLACING[step.operation])  # the first of the two steps shows the order
        else:
            done[step.name] = step.operation
    return done


REPLACING = {"delete-replaced": "replace, old first", "create-replacement": "replace, new first"}


def _copy(folder: Path) -> Path:
    work = folder / "work"
    work.mkdir(parents=True)
    shutil.copy(ROOT / "Pulumi.yaml", work)
    for part in ("infra", "function"):
        shutil.copytree(ROOT / part, work / part, ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    return work


@contextmanager
def engine_stack(cloud: Cloud, folder: Path, name: str = "prod") -> Generator[EngineStack]:
    """A fresh stack called `name` against `cloud`. Raises `binary.EngineMissing`."""
    home = binary.root()
    (folder / "state").mkdir(parents=True)
    with provider_service(cloud) as provider_port, language_host() as language_port:
        options = automation.LocalWorkspaceOptions(
            pulumi_home=str(folder / "home"),
            env_vars=_environment(folder, provider_port, language_port),
            pulumi_command=automation.PulumiCommand(str(home) if home else None, skip_version_check=True),
        )
        yield EngineStack(automation.create_stack(name, work_dir=str(_copy(folder)), opts=options), folder)


def _environment(folder: Path, provider_port: int, language_port: int) -> dict[str, str]:
    environment = {
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DEBUG_PROVIDERS": f"gcp:{provider_port}",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "NO_COLOR": "1",
    }
    if not shutil.which("pulumi-language-python"):
        environment["PULUMI_DEBUG_LANGUAGES"] = f"python:{language_port}"
    return environment
