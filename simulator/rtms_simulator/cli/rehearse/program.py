"""The unmodified Pulumi program, run in the engine: what it registered, and the files that belong to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from rtms_infra.rehearsal import stack_file
from rtms_infra.rehearsal.registered import Entry, Registered
from rtms_infra.rehearsal.session import EngineSession
from rtms_simulator.cli.service import infra as packed

MADE_UP: Mapping[str, str] = {
    "zoomSecretToken": "rehearsal-secret-token",
    "zoomSecretTokenPrevious": "rehearsal-former-token",
    "zoomClientSecret": "rehearsal-client-secret",
    "recallApiKey": "rehearsalrecallapikey0000000000000000000",
    "recallWebhookSecrets": "whsec_cmVoZWFyc2FsLXNlY3JldC0wMDAwMDAwMA==",
    "alertSlackToken": "xoxb-rehearsal-000000000000",
    "alertPagerdutyKey": "0123456789abcdef0123456789abcdef",
    "alertWebhookUrl": "https://alerts.example.com/rehearsal",
}
"""Secrets by their key: they mean nothing outside a rehearsal. Both vendors' fakes know them."""


class ProgramRefused(Exception):
    """The program ended with an error: the text that `pulumi up` would show."""


@dataclass(frozen=True)
class Loaded:
    """One run of the program. `files`: SHA-256 -> path of a registered file."""

    registered: Registered
    files: Mapping[str, Path]
    config: Mapping[str, str]


@dataclass(frozen=True)
class Carried:
    """What one `up`, `preview` or `destroy` did in a world of the engine: (verb, resource, how), and its errors. `deployed`: what Google
    has after it, which is not what was registered where a step failed."""

    world: str
    steps: tuple[tuple[str, str, str], ...]
    errors: tuple[str, ...]
    deployed: Loaded

    def of(self, *verbs: str) -> list[str]:
        return sorted(name for verb, name, _ in self.steps if verb in verbs)

    @property
    def changed(self) -> list[str]:
        return sorted(name for verb, name, _ in self.steps if verb != "same")


class Program:
    """A copy of the program and of the functions' source in `folder`, and the warm engine that runs it."""

    def __init__(self, root: Path | None, folder: Path, stack: str, config: Mapping[str, str], secret_names: list[str]) -> None:
        """`root`: the project, or None for the installed one. `secret_names`: names that the settings hold encrypted."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._root, self._stack = folder, root, stack
        self._config, self._held = config, secret_names
        if root is None:
            for name, source in packed.files():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / name)
        else:
            stack_file.copy_project(root, folder)
        self._session = EngineSession(folder)

    def close(self) -> None:
        self._session.close()

    def beside(self, folder: Path) -> Program:
        """The same in another folder with an engine of its own: what one changes or asks does not wait for the other."""
        return Program(self._root, folder, self._stack, self._config, self._held)

    async def load(self, **changes: object) -> Loaded:
        """Run it. `changes`: keys by short name, on top of the settings. Raises `ProgramRefused`, and `UnreadableResource` later."""
        config, secrets = self._configured(changes)
        answer = await self._answer(self._request(config, secrets))
        return _loaded(answer, config)

    async def carry(
        self,
        action: str,
        world: str = "",
        *,
        failures: list[dict[str, Any]] | None = None,
        after_s: float = 0.0,
        api_delay_s: float = 0.0,
        **changes: object,
    ) -> Carried:
        """`up`, `preview` or `destroy` in a world ("" for an empty cloud), so many seconds after what was done there before.

        `failures`: keywords of `rehearsal.cloud.Failure`; `api_delay_s`: how long an API that was just enabled is not in force.
        """
        config, secrets = self._configured(changes)
        request = self._request(config, secrets)
        wish = {"from": world, "failures": failures or [], "pass_time": after_s, "api_delay_s": api_delay_s}
        request |= {"world": wish, "action": action, "preview": action == "preview"}
        answer = await self._answer(request)
        steps = tuple((step["verb"], step["name"], step["how"]) for step in answer["steps"])
        deployed = _loaded({**answer["standing"], "assets": answer["assets"], "error": ""}, config)
        return Carried(answer["world"], steps, tuple(answer["errors"]), deployed)

    async def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """In a thread: what runs beside it, such as a cloud's APIs, must go on answering."""
        return await asyncio.to_thread(self._session.ask, request)

    def _configured(self, changes: Mapping[str, object]) -> tuple[dict[str, str], list[str]]:
        made_up = {**MADE_UP, **{name: str(value) for name, value in changes.items() if name in MADE_UP}}
        plain = {f"rtmskit:{name}": stack_file.as_text(value) for name, value in changes.items() if name not in MADE_UP}
        secret_names = [*self._held, *(f"rtmskit:{name}" for name in changes if name in MADE_UP)]
        return stack_file.complete({**self._config, **plain}, secret_names, made_up)

    def _request(self, config: Mapping[str, str], secrets: list[str]) -> dict[str, Any]:
        program = str(self.folder / "infra")
        return {"program": program, "config": dict(config), "secrets": secrets, "stack": self._stack, "preview": False}


def _loaded(answer: Mapping[str, Any], config: Mapping[str, str]) -> Loaded:
    if answer["error"]:
        raise ProgramRefused(answer["error"].strip())
    entries = msgspec.convert(answer["resources"], list[Entry])
    files = {digest: Path(path) for digest, path in answer["assets"].items()}
    return Loaded(Registered(entries, answer["outputs"], config.get("gcp:project", "")), files, config)


def project_root() -> Path | None:
    """The project in this folder or one above it; None if there is none, and the installed one is meant."""
    for folder in (Path.cwd(), *Path.cwd().parents):
        if (folder / "infra" / "__main__.py").is_file() and (folder / "Pulumi.yaml").is_file():
            return folder
    return None
