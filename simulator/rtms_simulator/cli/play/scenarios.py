"""`rtmskit scenarios`: what meetings there are, and what happens in one."""

from __future__ import annotations

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.output import as_json, say_json, table
from rtms_simulator.cli.pages import PAGES
from rtms_simulator.cli.play.outcome import BadInput, lines_of


@click.group()
def scenarios() -> None:
    """List and show the scripted meetings."""


@scenarios.command("list")
@as_json
def list_(*, as_json: bool) -> None:
    """List the built-in meetings."""
    from rtms_simulator import scenario

    loaded = [scenario.load(name) for name in scenario.names()]
    if as_json:
        rows = [{"name": one.name, "product": one.product, "duration_s": one.duration_s, "summary": one.summary} for one in loaded]
        say_json({"scenarios": rows})
        return
    rows = [(one.name, one.product, f"{one.duration_s:g} s", str(len(one.people)), one.summary) for one in loaded]
    table(("name", "product", "length", "people", "what happens"), rows)


@scenarios.command()
@click.argument("name", shell_complete=completion.scenario_or_file)
@as_json
def show(name: str, *, as_json: bool) -> None:
    """Show one meeting: a built-in NAME, or the path of a TOML file."""
    from rtms_simulator.errors import ScenarioError
    from rtms_simulator.kit.scenarios import load_playable

    try:
        one = load_playable(name)
    except ScenarioError as error:
        raise BadInput(
            lines_of(error), f"`rtmskit scenarios list` shows what there is; {PAGES}/scenarios.md shows how to write one."
        ) from None
    if as_json:
        say_json(one)
        return
    names = {person.user_id: person.name for person in one.people}
    click.echo(f"{one.name}: {one.summary}\n{one.product}, {one.duration_s:g} s, seed {one.seed}, {len(one.people)} people\n")
    rows = []
    for action in one.timeline:
        facts = ", ".join(f"{key}={value}" for key, value in action.data.items() if value not in ("", (), [], None) and key != "text")
        rows.append((f"{action.at_s:.1f} s", action.kind, names.get(action.who or 0, ""), str(action.data.get("text", "")) or facts))
    table(("at", "what", "who", ""), rows)
