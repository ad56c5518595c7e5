"""The functions as processes: the registered archive, its own environment, exactly the registered variables and secrets."""

from __future__ import annotations

import asyncio
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from rtms_infra.rehearsal import environments
from rtms_infra.rehearsal.registered import Function, Object, Registered, SecretVersion
from rtms_simulator.cli.play.outcome import BadInput
from rtms_simulator.cli.rehearse.judges import Decisions
from rtms_simulator.cli.rehearse.program import Loaded
from rtms_simulator.clock import Clock
from rtms_simulator.serving.processes import Child, Port

SHOWN_PINS = 3


class NotDeployed(Exception):
    """Google would refuse this function, or its first instance would not start. The message says why."""


def unpack(loaded: Loaded, function: Function, into: Path) -> Path:
    """The source archive that is registered for the function, unpacked. Raises `NotDeployed`."""
    source = function.build_config.source.storage_source
    for one in loaded.registered.of(Object).values():
        if (one.bucket, one.name) == (source.bucket, source.object):
            folder = into / one.name.removesuffix(".zip")
            if not folder.exists():
                with zipfile.ZipFile(loaded.files[one.source["$asset"]]) as opened:
                    opened.extractall(folder)
            return folder
    raise NotDeployed(f"{function.name}: its source gs://{source.bucket}/{source.object} is not registered")


def secrets_of(registered: Registered, function: Function, decisions: Decisions) -> dict[str, str]:
    """The secret variables of a function, as far as its account may read those versions. Raises `NotDeployed`."""
    versions = {}
    for name, version in registered.of(SecretVersion).items():
        secret = version.secret.rpartition("/")[2]
        versions[secret, registered.computed(name)["version"]] = version.secret_data
    config, values = function.service_config, {}
    for variable in config.secret_environment_variables:
        secret = f"projects/{variable.project_id}/secrets/{variable.secret}"
        if not decisions.allowed(config.service_account_email, "secretmanager.versions.access", secret):
            raise NotDeployed(
                f"{function.name} does not start: Permission denied on secret: {secret}/versions/{variable.version} "
                f"for {config.service_account_email}"
            )
        value = versions.get((variable.secret, variable.version))
        if value is None:
            raise NotDeployed(f"{function.name} does not start: {secret}/versions/{variable.version} does not exist")
        values[variable.key] = value
    return values


def _interpreter(requirements: Path) -> Path:
    """A Python that has them. Raises `BadInput` where none can be made."""
    try:
        return environments.interpreter(requirements)
    except environments.RequirementsRefused as error:
        lacking = environments.unsatisfied(requirements.read_text())
        named = ", ".join(lacking[:SHOWN_PINS]) + (", ..." if len(lacking) > SHOWN_PINS else "")
        raise BadInput(
            f"this Python lacks {named}, which the functions pin, and an environment of their own cannot be made:\n{error}",
            f"it takes `venv`, `pip` and a package index, once; then it is kept in {environments.cache()}. Without a network, "
            "PIP_FIND_LINKS=FOLDER names packages that you have.",
        ) from None


class FunctionProcess:
    """One function. `local`: the variables that must be others on this machine; `own`: what the platform sets."""

    def __init__(self, loaded: Loaded, function: Function, decisions: Decisions, folder: Path, on_line: Callable[[str, str], None]) -> None:
        self.function = function
        self._decisions, self._loaded, self._folder, self._on_line = decisions, loaded, folder, on_line
        self._real_time = Clock()
        self._port = Port(f"the {function.build_config.entry_point}")
        self.child: Child | None = None

    @property
    def url(self) -> str:
        """Of the process itself, behind the door."""
        return f"http://{self._port.host}:{self._port.number}"

    def address(self) -> str | None:
        return self.url if self.child is not None and self.child.alive else None

    async def start(self, local: Mapping[str, str]) -> None:
        """Raises `NotDeployed`, `BadInput` without a Python for it, ChildEndedError (its settings are refused: code 2) or TimeoutError."""
        await self.stop()
        source = unpack(self._loaded, self.function, self._folder)
        python = await asyncio.to_thread(_interpreter, source / "requirements.txt")
        environment = {
            **self.function.service_config.environment_variables,
            **secrets_of(self._loaded.registered, self.function, self._decisions),
            **local,
            **self._platform(source),
        }
        role = self.function.build_config.entry_point
        argv = [str(python), "-m", "functions_framework", "--source", str(source / "main.py"), "--target", role]
        argv += ["--host", self._port.host, "--port", str(self._port.number)]
        self.child = Child(role, argv, environment, self._real_time, self._on_line)
        await self.child.start()
        await self.child.answers(f"{self.url}/health", within_s=120.0)

    def _platform(self, source: Path) -> dict[str, str]:
        """What Cloud Run and the functions' runtime set. PYTHONPATH: the archive comes before any other copy of its packages."""
        function = self.function
        return {
            "PATH": os.environ.get("PATH", ""),
            "K_SERVICE": function.name,
            "K_REVISION": f"{function.name}-00001-rhs",
            "K_CONFIGURATION": function.name,
            "FUNCTION_TARGET": function.build_config.entry_point,
            "FUNCTION_SIGNATURE_TYPE": "http",
            "LOG_EXECUTION_ID": "true",
            "GOOGLE_CLOUD_PROJECT": function.project,
            "PYTHONPATH": str(source),
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def crash(self) -> None:
        """Every process of it ends at once, as an instance that runs out of memory."""
        if self.child is not None:
            self.child.kill()

    async def stop(self) -> None:
        if self.child is not None:
            await self.child.stop()

    async def aclose(self) -> None:
        await self.stop()
        self._port.release()
