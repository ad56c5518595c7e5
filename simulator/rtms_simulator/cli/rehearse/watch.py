"""What Cloud Monitoring sees of the cloud on this machine: lines, requests, tasks, uptime checks; and its evaluation each minute."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from rtms_infra.rehearsal.boards import Board
from rtms_infra.rehearsal.monitoring import EVALUATED_EVERY_S, Monitoring
from rtms_infra.rehearsal.registered import Dashboard, Registered, UptimeCheck, seconds
from rtms_simulator.clock import Clock
from rtms_simulator.cloud_tasks import Attempt

CHECKERS = ("usa", "europe", "asia-pacific")
"""Where uptime checks come from; one request is made, and each of them sees its answer."""


class Watch:
    """`clock` is Google's. `lines`: every JSON line of the functions with the service that wrote it, in order."""

    def __init__(self, registered: Registered, clock: Clock, checked: Callable[[UptimeCheck], Awaitable[bool]]) -> None:
        self.monitoring = Monitoring(registered)
        self._show_and_check(registered)
        self._clock, self._checked = clock, checked
        self.lines: list[tuple[str, dict[str, Any]]] = []
        self.other_lines: list[tuple[str, str]] = []
        self._evaluated_at = clock.now()
        self._checked_at: dict[str, float] = {}

    def update(self, registered: Registered) -> None:
        """Be what is registered now; what was seen stays."""
        self.monitoring.update(registered)
        self._show_and_check(registered)

    def _show_and_check(self, registered: Registered) -> None:
        self._boards = [Board.of(one) for one in registered.of(Dashboard).values()]
        self._checks = registered.of(UptimeCheck)
        self._ids = {name: str(registered.computed(name)["uptimeCheckId"]) for name in self._checks}

    def dashboards(self) -> list[str]:
        """The registered dashboards as text, as they look now."""
        return [line for board in self._boards for line in board.text(self.monitoring, self._clock.now())]

    def dashboard_problems(self) -> list[str]:
        return [problem for board in self._boards for problem in board.problems(self.monitoring)]

    def line(self, service: str, text: str) -> None:
        try:
            printed = msgspec.json.decode(text)
        except ValueError:
            printed = None
        if not isinstance(printed, dict):
            self.other_lines.append((service, text))
            return
        self.lines.append((service, printed))
        self.monitoring.line(self._clock.now(), service, printed)

    def request(self, service: str, status: int, took_s: float) -> None:
        labels = {"service_name": service}
        own = {"response_code": str(status), "response_code_class": f"{status // 100}xx"}
        now = self._clock.now()
        self.monitoring.point(now, "run.googleapis.com/request_count", "cloud_run_revision", labels, own, 1.0)
        self.monitoring.point(now, "run.googleapis.com/request_latencies", "cloud_run_revision", labels, own, took_s * 1000)

    def refused(self, service: str, status: int) -> None:
        """A request for which no instance was left."""
        self.monitoring.refused(self._clock.now(), service, status)

    def attempt(self, task: str, attempt: Attempt) -> None:
        """An attempt of Cloud Tasks that has ended. Metrics list: `response_code` is the HTTP status or the failure's name."""
        _, _, _, location, _, queue, *_ = task.split("/")
        labels, code = {"queue_id": queue, "location": location}, str(attempt.status) if attempt.status else "unavailable"
        now = self._clock.now()
        late_ms = (attempt.dispatched_at - attempt.scheduled_at) * 1000
        self.monitoring.point(
            now, "cloudtasks.googleapis.com/queue/task_attempt_count", "cloud_tasks_queue", labels, {"response_code": code}, 1.0
        )
        self.monitoring.point(now, "cloudtasks.googleapis.com/queue/task_attempt_delays", "cloud_tasks_queue", labels, {}, late_ms)

    def skip(self) -> None:
        """Nothing is evaluated for the time that has passed since the last look."""
        self._evaluated_at = self._clock.now()

    async def look(self, depths: Mapping[str, int]) -> None:
        """Once in a while: how deep the queues are, uptime checks that are due, and the evaluation if a minute has passed."""
        now = self._clock.now()
        for path, depth in depths.items():
            _, _, _, location, _, queue = path.split("/")
            labels = {"queue_id": queue, "location": location}
            self.monitoring.point(now, "cloudtasks.googleapis.com/queue/depth", "cloud_tasks_queue", labels, {}, float(depth))
        for name, check in self._checks.items():
            if now - self._checked_at.get(name, float("-inf")) >= seconds(check.period):
                self._checked_at[name] = now
                await self._check(name, check, now)
        while now - self._evaluated_at >= EVALUATED_EVERY_S:
            self._evaluated_at += EVALUATED_EVERY_S
            self.monitoring.evaluate(self._evaluated_at)

    async def _check(self, name: str, check: UptimeCheck, now: float) -> None:
        passed = float(await self._checked(check))
        for checker in CHECKERS:
            own = {"check_id": self._ids[name], "checker_location": checker}
            metric = "monitoring.googleapis.com/uptime_check/check_passed"
            self.monitoring.point(now, metric, "uptime_url", check.monitored_resource.labels, own, passed)
