"""What `rtmskit serve` shows while it runs: the hand-offs, each change of one, and what is unfinished."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from rtms_simulator.kit.serve.local_service import LocalService
    from rtms_simulator.kit.worker_answers import HandOffRow

EVERY_S = 1.0
ROWS = 20
UNFINISHED = ({"state": "pending"}, {"recording": "awaiting"}, {"recording": "forgetting"})
"""What the worker's list is narrowed by: the states of a hand-off, of its recording and of an erasure that are no ends."""


def unfinished(row: HandOffRow) -> str:
    """What is still to come of a hand-off; "" if nothing is."""
    if row.state == "pending":
        return "not yet accepted by Recall"
    return {"awaiting": "its recording is awaited", "forgetting": "its recording is being deleted"}.get(row.retrieval, "")


def words(row: HandOffRow) -> str:
    """One line: when, which meeting, where it stands, why."""
    when = datetime.fromtimestamp(row.created_at / 1000, UTC).astimezone().strftime("%H:%M:%S")
    stands = row.state if row.retrieval == "none" else f"{row.state}, recording {row.retrieval}"
    return f"{when}  {row.product} {row.entity_id or row.id[:12]}  {stands}{f': {row.cause}' if row.cause else ''}"


class LiveView:
    """Looks at the worker's list, and reports what has changed."""

    def __init__(self, service: LocalService, tell: Callable[..., Any]) -> None:
        self._service = service
        self._tell = tell
        self._seen: dict[str, tuple[str, str, str]] = {}

    async def follow(self, left: dict[str, str]) -> None:
        """Keep `left` (id -> what is still to come) as it is at the worker. Never returns."""
        from rich.console import Console
        from rich.live import Live

        from rtms_simulator.clock import Clock

        clock = Clock()
        console = Console(stderr=True)
        live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        if live is not None:
            live.start()
        try:
            while True:
                rows = await self.look(left)
                if rows is not None and live is not None:
                    live.update(_table(rows), refresh=True)
                await clock.sleep(EVERY_S)
        finally:
            if live is not None:
                live.stop()

    async def look(self, left: dict[str, str]) -> list[HandOffRow] | None:
        """One look: report what has changed, and bring `left` up to date. The newest hand-offs; None while the worker does not answer."""
        from rtms_simulator.errors import WorkerError
        from rtms_simulator.kit.worker.handoffs import HandOffs

        client = HandOffs(self._service.worker_url, self._service.run_secret)
        try:
            newest = await _first(client.every({"limit": str(ROWS)}), ROWS)
            rows = {row.id: row for row in newest}
            for filters in (*UNFINISHED, *({"id": key} for key in left)):
                if filters.get("id") not in rows:
                    rows |= {row.id: row for row in await _first(client.every(filters))}
        except WorkerError:
            return None
        finally:
            await client.aclose()
        self._compare(sorted(rows.values(), key=lambda row: row.created_at), left)
        return newest

    def _compare(self, rows: Sequence[HandOffRow], left: dict[str, str]) -> None:
        """`rows`: oldest first."""
        for row in rows:
            now = (row.state, row.retrieval, row.cause)
            if self._seen.get(row.id) != now:
                self._seen[row.id] = now
                self._tell("handoff", words(row), row=row)
            if still := unfinished(row):
                left[row.id] = still
            else:
                left.pop(row.id, None)


async def _first(rows: AsyncIterator[HandOffRow], most: int | None = None) -> list[HandOffRow]:
    """As many of them, or all."""
    chosen: list[HandOffRow] = []
    async for row in rows:
        chosen.append(row)
        if len(chosen) == most:
            break
    return chosen


def _table(rows: list[HandOffRow]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("meeting", "state", "recording", "outstanding"):
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, (row.entity_id or row.id[:12], row.state, row.retrieval, unfinished(row))))
    return table
