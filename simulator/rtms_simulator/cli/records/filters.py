"""The options that narrow a list of hand-offs, and the ids that commands take."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rtms_simulator.cli.play.outcome import BadInput
from rtms_simulator.cli.records.handoff_words import BY_RECORDING, BY_STATE
from rtms_simulator.clock import Clock

if TYPE_CHECKING:
    from rtms_simulator.kit.worker.handoffs import HandOffs
    from rtms_simulator.kit.worker_answers import HandOffRow

C = TypeVar("C", bound=Callable)

PRODUCTS = ("meeting", "webinar", "session", "contact_center", "phone")
_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Filters:
    """`query`: what the worker narrows its list by. `product`, `reason`: what is looked for in the rows that it gives."""

    limit: int
    query: Mapping[str, str] = field(default_factory=dict)
    product: str = ""
    reason: str = ""

    def admits(self, row: HandOffRow) -> bool:
        return self.product in ("", row.product) and self.reason.casefold() in row.cause.casefold()

    async def first(self, rows: AsyncIterable[HandOffRow]) -> list[HandOffRow]:
        """The first of the rows that are meant, as many as wished."""
        matches: list[HandOffRow] = []
        async for row in rows:
            if self.admits(row):
                matches.append(row)
            if len(matches) == self.limit:
                break
        return matches


def filtered(command: C) -> C:
    """The options of a list; the command gets them as `filters`."""
    for option in (
        click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="At most this many, newest first."),
        click.option("--reason", metavar="TEXT", default="", help="Only those whose reason has this text in it."),
        click.option("--mdc", metavar="ID", help="Only that of Recall's MDC of this id."),
        click.option("--stream", metavar="ID", help="Only those of Zoom's stream of this id."),
        click.option("--meeting", metavar="UUID", help="Only those of this meeting (or webinar, session, engagement, call), by Zoom's id."),
        click.option("--since", metavar="WHEN", help="Only those since then: 30m, 6h, 2d, or 2026-11-29 or 2026-11-29T03:00 (local time)."),
        click.option("--product", type=click.Choice(PRODUCTS), help="Only those of this product of Zoom's."),
        click.option("--recording", type=click.Choice(("none", *BY_RECORDING)), help="Only those whose recording is in this state."),
        click.option("--state", type=click.Choice(tuple(BY_STATE)), help="Only hand-offs in this state."),
    ):
        command = option(command)
    return command


def filters(**options: Any) -> Filters:
    """Of the values of the options of `filtered`. Raises BadInput."""
    query = {name: options[name] for name in ("state", "recording", "meeting", "stream", "mdc") if options[name]}
    if options["since"]:
        query["since"] = str(int(since(options["since"], datetime.fromtimestamp(Clock().now(), UTC)).timestamp() * 1000))
    query["limit"] = str(min(options["limit"], 200) if not options["product"] and not options["reason"] else 200)
    return Filters(limit=options["limit"], query=query, product=options["product"] or "", reason=options["reason"])


def since(text: str, now: datetime) -> datetime:
    """A moment: so long ago, or ISO 8601, in local time if it names no zone. Raises BadInput."""
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text.strip())
        moment = moment if moment.tzinfo is not None else moment.astimezone()
        if moment.timestamp() >= 0:
            return moment
    except (ValueError, OverflowError, OSError):
        pass
    raise BadInput(
        f"--since {text!r} is not a time", "write 30m, 6h or 2d, or 2026-11-29 or 2026-11-29T03:00, with Z or +01:00 for a zone."
    )


async def resolved(client: HandOffs, text: str) -> str:
    """The id of the one hand-off that `text` means: the beginning of its id, or a meeting, stream or MDC that has one. Raises BadInput."""
    if re.fullmatch(r"[0-9a-f]{64}", text):
        return text
    rows = await client.matching(text)
    if len(rows) == 1:
        return rows[0].id
    if not rows:
        raise BadInput(
            f"there is no hand-off {text!r}",
            f"`rtmskit handoffs find {text}` says what may have become of it; `rtmskit handoffs list` shows those that there are.",
        )
    several = "\n".join(f"  {row.id[:16]}  {row.state}, recording {row.retrieval}" for row in rows[:10])
    raise BadInput(f"{text!r} means {len(rows)} hand-offs, newest first:\n{several}", "name one by the beginning of its id.")
