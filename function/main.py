"""What functions-framework loads: the two functions, `webhook` and `worker`.

Settings are checked and libraries imported while this module is loaded, so that an unusable environment stops the process (exit
code 2) instead of failing requests, and the first request waits for no import. Clients are made on the first request, inside the
running loop: the module is loaded before the fork.
"""

import asyncio
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
        sys.stderr.flush()
        if _in_a_loop():
            # A server that loads its application while it runs takes SystemExit for a failure of one request, and goes on.
            os._exit(settings.EXIT_CODE)
        raise SystemExit(settings.EXIT_CODE) from None


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _surface(role: settings.Role) -> Surface:
    """The routes of a role, on the adapters its settings name; made once per process."""
    if role not in _surfaces:
        known = _loaded[role]
        log = logs.JsonLog(known.secrets(), hash_ids=known.log_ids == "hashed")
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
    signals: list[int] = []
    server = signal.getsignal(signal.SIGTERM)

    def note(number: int, frame: FrameType | None) -> None:
        signals.append(number)
        if callable(server):
            server(number, frame)

    try:
        signal.signal(signal.SIGTERM, note)
    except ValueError:  # not the main thread: then somebody else decides when it ends
        return lambda: False
    return lambda: bool(signals)


@functions_framework.aio.http
async def webhook(request: Request) -> Response:
    """The public function: Zoom's and Recall's webhooks."""
    return await _surface("webhook")(request)


@functions_framework.aio.http
async def worker(request: Request) -> Response:
    """The private function: tasks, sweep, recordings."""
    return await _surface("worker")(request)


def _roles() -> tuple[settings.Role, ...]:
    """Which functions this process is to serve. functions-framework sets FUNCTION_TARGET before it loads this module, whether the function
    was named by that variable, by --target or in code. Where nobody named one, both must be able to start."""
    target = os.environ.get("FUNCTION_TARGET")
    roles: tuple[settings.Role, ...] = ("webhook", "worker")
    return roles if not target else tuple(role for role in roles if role == target)


_loaded = {role: _load(role) for role in _roles()}
for _known in _loaded.values():
    wiring.preload(_known)
