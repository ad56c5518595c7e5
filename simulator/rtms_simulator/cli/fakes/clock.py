"""`rtmskit clock`: the time of the fakes (the two functions live in real time)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtms_simulator.cli.fakes.running import ask, find, of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json
from rtms_simulator.cli.play.outcome import BadInput

if TYPE_CHECKING:
    from rtms_simulator.control.answers import ClockReading

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def why_refused(status: int) -> str:
    """What to look at when a running `up`'s webhook answered so."""
    if status != 401:
        return ""
    return "does the Secret Token fit? And was the clock advanced (`rtmskit clock show`)? `rtmskit reset` brings it back to real time."


@click.group()
def clock() -> None:
    """Read, advance or freeze the clock of a running `up`.

    It drives the fakes: retries, link expiry, retention, time-outs. The functions are real processes and keep real time, so a clock
    far ahead makes them see signatures from the future. `rtmskit reset` brings it back to real time.
    """


@clock.command()
@of_up
@as_json_option
def show(up_file: Path, *, as_json: bool) -> None:
    """Show the fakes' time and its rate."""
    from rtms_simulator.control.answers import ClockReading

    _say(ask(find(up_file), "/clock", ClockReading), as_json=as_json)


@clock.command()
@click.argument("by")
@of_up
@as_json_option
def advance(by: str, up_file: Path, *, as_json: bool) -> None:
    """Go forward BY seconds, or as 90s, 5m, 6h, 2d, with a stop at each deadline on the way: what is due there happens."""
    from rtms_simulator.clock import TOLERATED_S, Clock
    from rtms_simulator.control.answers import ClockReading

    reading = ask(find(up_file), "/clock", ClockReading, "POST", {"advance": seconds(by)}, timeout_s=None)
    _say(reading, as_json=as_json)
    ahead = reading.now - Clock().now()
    if ahead > TOLERATED_S:
        click.echo(
            f"The fakes are {ahead:,.0f} s ahead now. The functions keep real time: what Recall signs from now on they refuse (5 minutes), "
            "beyond 95 minutes Zoom's events too, until `rtmskit reset` brings the clock back.",
            err=True,
        )


@clock.command()
@click.option("--rate", type=float, default=0.0, show_default=True, help="Seconds per real second; 0 is frozen.")
@of_up
@as_json_option
def freeze(rate: float, up_file: Path, *, as_json: bool) -> None:
    """Stop the clock, or run it at another rate (--rate 1 lets it go on)."""
    from rtms_simulator.clock import FASTEST
    from rtms_simulator.control.answers import ClockReading

    if not 0 <= rate <= FASTEST:
        raise BadInput(f"--rate {rate} is not a rate", f"give a number from 0 to {FASTEST:,}.")
    _say(ask(find(up_file), "/clock", ClockReading, "POST", {"rate": rate}), as_json=as_json)


def seconds(text: str) -> float:
    """`90`, `90s`, `5m`, `6h`, `2d` in seconds. Raises BadInput."""
    from rtms_simulator.clock import LONGEST_STEP_S

    number, unit = (text[:-1], text[-1]) if text[-1:] in UNITS else (text, "s")
    try:
        value = float(number) * UNITS[unit]
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_STEP_S:
        raise BadInput(f"{text!r} is not a duration", "write seconds, or a number with s, m, h or d: 90, 5m, 6h; a century at most.")
    return value


def _say(reading: ClockReading, *, as_json: bool) -> None:
    if as_json:
        say_json(reading)
        return
    when = datetime.fromtimestamp(reading.now, UTC).isoformat(timespec="milliseconds")
    rate = f"{reading.rate:g} s per second" if reading.rate else "frozen"
    click.echo(f"{when} ({rate})")
