"""What Cloud Tasks does with a queue, for a queue in a file: dispatch in time, at its rate, again until the answer is 2xx.

Rates, limits and pauses are those of the deployed queue. The headers are Cloud Tasks', as far as the worker reads them.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from rtms_relay.adapters.local_queue import TaskFile, Waiting
from rtms_relay.concurrently import within
from rtms_relay.errors import QueueUnavailable
from rtms_relay.ports import Clock, Jobs, Log

if TYPE_CHECKING:
    import httpx

POLL_S = 0.05
"""How often the file is looked at for what other processes have put there. One PRAGMA, without a transaction on disk."""

FILE_PAUSE_S = 1.0
"""How long a file that cannot be used is left alone."""


class QueueRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one queue dispatches. Seconds; `max_doublings` as in Cloud Tasks' RetryConfig. `deadline_s`: how long an answer may take."""

    per_second: float
    concurrent: int
    min_backoff_s: float
    max_backoff_s: float
    max_doublings: int
    deadline_s: float

    def backoff_s(self, failures: int) -> float:
        """The pause after the n-th failure: doubled `max_doublings` times, then growing by as much each time, up to the maximum."""
        doubled = min(failures - 1, self.max_doublings)
        further = failures - 1 - doubled
        return min(self.min_backoff_s * 2**doubled * (1 + further), self.max_backoff_s)


Send = Callable[[Waiting], Awaitable[int]]
"""POSTs a task to the worker and returns the status. Raises OSError with the reason if no answer comes."""


class Dispatcher:
    """One queue of one file. `run` never returns. Only one process may dispatch from a file."""

    def __init__(
        self,
        queue: str,
        file: TaskFile,
        rules: QueueRules,
        send: Send,
        clock: Clock,
        jobs: Jobs,
        log: Log,
        pause: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`pause`: what passes between two looks at the file; by default `POLL_S` of the clock."""
        self._queue = queue
        self._file = file
        self._rules = rules
        self._send = send
        self._clock = clock
        self._jobs = jobs
        self._log = log
        self._pause = pause or (lambda: clock.sleep(POLL_S))
        self._under_way: set[int] = set()
        self._changed = False
        self._burst = max(1.0, float(math.ceil(rules.per_second)))
        self._tokens = self._burst
        self._tokens_at = clock.monotonic_ms()

    async def run(self) -> None:
        while True:
            try:
                changes = await self._file.changes()
                next_due = await self._dispatch_due()
                await self._rest(changes, next_due)
            except QueueUnavailable as error:
                self._log("ERROR", "dispatch", queue=self._queue, what=str(error))
                await self._clock.sleep(FILE_PAUSE_S)

    async def _dispatch_due(self) -> int | None:
        """Begin what is due. Returns when to look again (ms), or None: at the next change."""
        self._changed = False
        free = self._rules.concurrent - len(self._under_way)
        tasks = await self._file.waiting(self._queue, free, frozenset(self._under_way)) if free > 0 else []
        now = self._clock.now_ms()
        for task in tasks:
            if task.due_at > now:
                return task.due_at
            if (ready_ms := self._take()) > 0:
                return now + ready_ms
            self._under_way.add(task.id)
            self._jobs.start(self._dispatch(task), f"task {task.id} of {self._queue}")
        return None

    def _take(self) -> int:
        """Take a token of the queue's rate: 0, or in how many ms there will be one."""
        at = self._clock.monotonic_ms()
        rate = self._rules.per_second
        self._tokens = min(self._burst, self._tokens + (at - self._tokens_at) / 1000 * rate + 1e-9)
        self._tokens_at = at
        if self._tokens < 1:
            return math.ceil((1 - self._tokens) / rate * 1000)
        self._tokens -= 1
        return 0

    async def _rest(self, changes: int, until: int | None) -> None:
        """Until something has changed, or that moment has come."""
        while not self._changed and (until is None or self._clock.now_ms() < until):
            await self._pause()
            if await self._file.changes() != changes:
                return

    async def _dispatch(self, task: Waiting) -> None:
        try:
            why = await self._attempt(task)
            if not why:
                await self._file.done(task)
                return
            again_s = self._rules.backoff_s(task.failures + 1)
            self._log("WARNING", "dispatch", queue=self._queue, failures=task.failures + 1, what=why, again_s=again_s)
            await self._file.failed(task, why, self._clock.now_ms() + int(again_s * 1000))
        except QueueUnavailable as error:  # it stays in the file as it was, and is delivered again
            self._log("ERROR", "dispatch", queue=self._queue, what=str(error))
            await self._clock.sleep(FILE_PAUSE_S)
        finally:
            self._under_way.discard(task.id)
            self._changed = True

    async def _attempt(self, task: Waiting) -> str:
        """Why it failed; "" if it was answered 2xx."""
        sending = _sent(self._send, task)
        try:
            status = await within(self._jobs, self._clock, self._rules.deadline_s, sending, f"the worker's answer to task {task.id}")
        except (TimeoutError, OSError) as error:
            return str(error) or type(error).__name__
        return "" if 200 <= status <= 299 else f"the worker answered {status}"


async def _sent(send: Send, task: Waiting) -> int:
    return await send(task)


class WorkerPosts:
    """`Send` over httpx, with the secret of the run. The client is the caller's."""

    def __init__(self, client: httpx.AsyncClient, worker_url: str, run_secret: str) -> None:
        self._client = client
        self._worker_url = worker_url
        self._authorization = {"Authorization": f"Bearer {run_secret}"} if run_secret else {}

    async def __call__(self, task: Waiting) -> int:
        headers = {
            "Content-Type": "application/json",
            "X-CloudTasks-QueueName": task.queue,
            "X-CloudTasks-TaskName": task.name or str(task.id),
            "X-CloudTasks-TaskRetryCount": str(task.failures),
            "X-CloudTasks-TaskETA": f"{task.due_at / 1000:.6f}",
        }
        return await self.post(task.path, task.body, headers)

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> int:
        """One POST to the worker; its status. Raises OSError."""
        import httpx

        try:
            answer = await self._client.post(
                f"{self._worker_url}{path}", content=body, headers={**headers, **self._authorization}, timeout=None, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise OSError(f"the worker does not answer: {str(error) or type(error).__name__}") from None
        return answer.status_code
