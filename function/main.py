"""What functions-framework loads: the two functions, `webhook` and `worker`.

Settings are checked and libraries imported while this module is loaded, so that an unusable environment stops the process (exit
code 2) instead of failing requests, and the first request waits for no import. Clients are made on the first request, inside the
running loop: the module is loaded before the fork.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

import functions_framework.aio
from starlette.requests import Request
from starlette.responses import Response

from rtms_relay import logs, settings, wiring
from rtms_relay.adapters.system import SystemClock
from rtms_relay.errors import SettingsError
from rtms_relay.routes.http import Surface

_surfaces: dict[settings.Role, Surface] = {}


def _load(role: settings.Role) -> settings.Settings:
    try:
        return settings.load(os.environ, role)
    except SettingsError as error:
        lines = "\n".join(f"  - {problem}" for problem in error.problems)
        sys.stderr.write(f"rtmskit {role}: the environment is unusable.\n{lines}\n")
        raise SystemExit(settings.EXIT_CODE) from None


def _surface(role: settings.Role) -> Surface:
    """The routes of a role, on the adapters its settings name; made once per process."""
    if role not in _surfaces:
        known = _loaded.get(role) or _load(role)
        log = logs.JsonLog(known.secrets())
        logs.install(log)
        project = known.facts_queue.split("/")[1]
        if role == "webhook":
            from rtms_relay.routes.webhook import WebhookRoutes

            _surfaces[role] = WebhookRoutes(wiring.intake(known, log), SystemClock(), log, project, known.code_hash).surface
        else:
            from rtms_relay.routes.worker import WorkerRoutes

            gate = wiring.gate(known, os.environ)
            served = wiring.worker(known, log, _stop_signal())
            routes = WorkerRoutes(served, SystemClock(), log, project, known.code_hash, gate=gate, invokers=known.tasks_invokers)
            _surfaces[role] = routes.surface
    return _surfaces[role]


def _stop_signal() -> Callable[[], bool]:
    """Whether this process was asked to stop. The server's own handler still runs: it lets requests end first, and one that waits for its
    next try ends as soon as it hears of this."""
    asked: list[int] = []
    server = signal.getsignal(signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if callable(server):
            server(number, frame)

    try:
        signal.signal(signal.SIGTERM, note)
    except ValueError:  # not the main thread: then somebody else decides when it ends
        return lambda: False
    return lambda: bool(asked)


@functions_framework.aio.http
async def webhook(request: Request) -> Response:
    """The public function: Zoom's and Recall's webhooks."""
    return await _surface("webhook")(request)


@functions_framework.aio.http
async def worker(request: Request) -> Response:
    """The private function: tasks, sweep, recordings."""
    return await _surface("worker")(request)


def _target() -> str | None:
    """Which function this process is to serve: Cloud Functions sets FUNCTION_TARGET, the command line has --target."""
    if "FUNCTION_TARGET" in os.environ:
        return os.environ["FUNCTION_TARGET"]
    arguments = sys.argv[1:]
    for number, argument in enumerate(arguments):
        if argument == "--target" and number + 1 < len(arguments):
            return arguments[number + 1]
        if argument.startswith("--target="):
            return argument.removeprefix("--target=")
    return None


_loaded: dict[settings.Role, settings.Settings] = {role: _load(role) for role in ("webhook", "worker") if _target() == role}
for _known in _loaded.values():
    wiring.preload(_known)
