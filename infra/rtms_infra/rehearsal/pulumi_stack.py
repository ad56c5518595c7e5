"""Drives Pulumi's own engine over the unmodified program, through Pulumi's Automation API.

Each stack has a folder of its own: a copy of the project, a state file, a Pulumi home. Nothing outside is read or asked: the provider and,
where it is missing, the language host are attached by port, and no `PULUMI_...` variable of the person's reaches the engine.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml
from pulumi import automation
from pulumi.automation import events

from rtms_infra.keys import KEYS
from rtms_infra.rehearsal.cloud import Cloud
from rtms_infra.rehearsal.engine import asset_paths, plain
from rtms_infra.rehearsal.language import language_host
from rtms_infra.rehearsal.registered import Entry, Registered
from rtms_infra.rehearsal.service import provider_service

PASSPHRASE = "a passphrase of the rehearsal"  # noqa: S105  # of a state file that holds made-up secrets, and goes with its folder
SECRET_KEYS = frozenset(key.full_name for key in KEYS if key.secret)

WORDS = {
    "create": "created",
    "update": "updated",
    "replace, old first": "replaced (old first)",
    "replace, new first": "replaced (new first)",
    "delete": "deleted",
}
"""What `changes` says -> what a person reads."""

REPLACING = {"delete-replaced": "replace, old first", "create-replacement": "replace, new first"}


@dataclass(frozen=True, slots=True)
class EngineStep:
    """One planned or executed operation: `create`, `update`, `replace`, `create-replacement`, `delete`, `same`, ..."""

    operation: str
    urn: str
    type: str
    changed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.urn.rpartition("::")[2]


def changes(steps: list[EngineStep]) -> dict[str, str]:
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


def summed(changed: Mapping[str, str]) -> str:
    """`changes` in one line, such as `2 created, 1 updated`."""
    counts = Counter(changed.values())
    return ", ".join(f"{counts[verb]} {word}" for verb, word in WORDS.items() if counts[verb]) or "nothing"


class EngineStack:
    """One stack in Pulumi's own engine. Every command raises `automation.errors.CommandError` with the engine's text when it refuses."""

    def __init__(self, stack: automation.Stack, folder: Path, tell: Callable[[str], None] | None = None) -> None:
        """`folder`: all that is the stack's own; `tell` hears the lines that `pulumi` prints, with secrets masked."""
        self._stack, self.folder, self._tell = stack, folder, tell
        self.refused: frozenset[str] = frozenset()
        """Names of what protection held in the last command."""
        self.errors: tuple[str, ...] = ()
        """What the engine named as errors in the last command."""
        self.steps: list[EngineStep] = []
        """What the last command did, also if it ended in an error."""

    def set(self, config: Mapping[str, Any], secret: Collection[str] = SECRET_KEYS) -> None:
        """Replace the stack's configuration. Keys are full (`rtmskit:name`, `gcp:project`); those of `secret` are set as secrets.

        A list may be given as JSON text; it stands in the settings file as a list, as a person would write it.
        """
        file = self.folder / "work" / f"Pulumi.{self._stack.name}.yaml"
        file.unlink(missing_ok=True)
        self._stack.set_all_config({key: automation.ConfigValue(value, secret=True) for key, value in config.items() if key in secret})
        written = yaml.safe_load(file.read_text()) or {}
        written.setdefault("config", {}).update({key: _typed(value) for key, value in config.items() if key not in secret})
        file.write_text(yaml.safe_dump(written))

    def preview(self) -> list[EngineStep]:
        with self._watched() as watch:
            self._stack.preview(on_event=watch, on_output=self._tell, on_error=self._tell)
        return watch.steps

    def up(self) -> list[EngineStep]:
        with self._watched() as watch:
            self._stack.up(on_event=watch, on_output=self._tell, on_error=self._tell)
        return watch.steps

    def refresh(self) -> list[EngineStep]:
        with self._watched() as watch:
            self._stack.refresh(on_event=watch)
        return watch.steps

    def destroy(self, *, unplanned: bool = False) -> list[EngineStep]:
        """`pulumi destroy`: planned first, which is where protection refuses it. `unplanned`: with `--skip-preview`."""
        if not unplanned:
            with self._watched() as watch:
                self._stack.destroy(preview_only=True, on_event=watch, on_error=self._tell)
        with self._watched() as watch:
            self._stack.destroy(on_event=watch, on_output=self._tell, on_error=self._tell)
        return watch.steps

    @contextmanager
    def _watched(self) -> Generator[_Watch]:
        watch = _Watch()
        try:
            yield watch
        finally:
            self.refused, self.errors = frozenset(watch.refused), tuple(dict.fromkeys(watch.errors))
            self.steps = watch.steps

    def outputs(self) -> dict[str, Any]:
        return {name: output.value for name, output in self._stack.outputs().items()}

    def state(self) -> str:
        """The state file's text, secrets encrypted."""
        return (self.folder / "state" / ".pulumi" / "stacks" / "rtmskit" / f"{self._stack.name}.json").read_text()

    def registered(self) -> tuple[Registered, dict[str, Path]]:
        """What is deployed now, read from the state; and SHA-256 -> path of each registered file."""
        resources = (self._stack.export_stack().deployment or {}).get("resources", [])
        entries, files, outputs = [], {}, {}
        for one in resources:
            if one["type"] == "pulumi:pulumi:Stack":
                outputs = plain(one.get("outputs", {}))
            if one["type"].startswith("pulumi:"):
                continue
            inputs = one.get("inputs", {})
            files |= {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in map(Path, asset_paths(inputs))}
            entries.append(
                Entry(
                    urn=one["urn"],
                    type=one["type"],
                    name=one["urn"].rpartition("::")[2],
                    custom=one["custom"],
                    inputs=plain(inputs),
                    dependencies=one.get("dependencies", []),
                )
            )
        return Registered(entries, outputs, self._stack.get_config("gcp:project").value), files


def _typed(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, str) and value.startswith("[") else value


class _Watch:
    """Collects the steps of one command from the engine's events, what it refused, and its errors."""

    def __init__(self) -> None:
        self.steps: list[EngineStep] = []
        self.refused: set[str] = set()
        self.errors: list[str] = []

    def __call__(self, event: events.EngineEvent) -> None:
        planned, diagnostic = event.resource_pre_event, event.diagnostic_event
        if planned is not None:
            data = planned.metadata
            self.steps.append(EngineStep(str(getattr(data.op, "value", data.op)), data.urn, data.type, tuple(data.diffs or ())))
        if diagnostic is not None and diagnostic.severity == "error":
            self.errors.append(diagnostic.message.strip())
            if diagnostic.urn and "protect" in diagnostic.message:
                self.refused.add(diagnostic.urn.rpartition("::")[2])


@contextmanager
def engine_stack(
    cloud: Cloud, work: Path, name: str, engine: Path | None, tell: Callable[[str], None] | None = None
) -> Generator[EngineStack]:
    """A fresh stack called `name` against `cloud`. `work`: a copy of the project, beside which all else of the stack goes; `engine`: as
    `pulumi_binary.root` has it; `tell` as in `EngineStack`."""
    folder = work.parent
    (folder / "state").mkdir(parents=True)
    _link_environment(work)
    with provider_service(cloud) as provider_port, language_host() as language_port, _without_the_persons():
        options = automation.LocalWorkspaceOptions(
            pulumi_home=str(folder / "home"),
            env_vars=environment(folder, provider_port, language_port),
            pulumi_command=automation.PulumiCommand(str(engine) if engine else None, skip_version_check=True),
        )
        yield EngineStack(automation.create_stack(name, work_dir=str(work), opts=options), folder, tell)


def _link_environment(work: Path) -> None:
    """Where the project names a virtual environment of its own, this interpreter's is found there: Pulumi's own language host looks for
    it, and would ask for `pulumi install`, which goes to the network."""
    project = yaml.safe_load((work / "Pulumi.yaml").read_text(encoding="utf-8"))
    runtime = project.get("runtime")
    named = runtime.get("options", {}).get("virtualenv") if isinstance(runtime, dict) else None
    if named and not (work / named).exists():
        (work / named).parent.mkdir(parents=True, exist_ok=True)
        (work / named).symlink_to(sys.prefix)


@contextmanager
def _without_the_persons() -> Generator[None]:
    """While it lasts, no setting of the person's Pulumi is in the environment: not their backend, token, passphrase or home."""
    theirs = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("PULUMI_")}
    try:
        yield
    finally:
        os.environ.update(theirs)


def environment(folder: Path, provider_port: int, language_port: int) -> dict[str, str]:
    """Variables for `pulumi`: a state in the folder, and the attached provider and language host; nothing outside is asked."""
    variables = {
        "PULUMI_BACKEND_URL": (folder / "state").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_DEBUG_PROVIDERS": f"gcp:{provider_port}",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "NO_COLOR": "1",
    }
    if not shutil.which("pulumi-language-python"):
        variables["PULUMI_DEBUG_LANGUAGES"] = f"python:{language_port}"
    return variables
