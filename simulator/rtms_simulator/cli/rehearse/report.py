"""What came of a rehearsal: a table in the terminal, one line of JSON, or one page of HTML that needs nothing else."""

from __future__ import annotations

import html
import shlex
from collections.abc import Iterable, Mapping

import click
import msgspec

from rtms_simulator.cli.output import say_json, table
from rtms_simulator.cli.rehearse.drill import Drill, DrillResult, Promise


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """`stack`: the settings file, empty for the least configuration. `without`: what could not be shown here, a sentence each. `flags`:
    those of the command that decide how a drill goes."""

    stack: str
    drills: list[DrillResult]
    without: list[str]
    flags: list[str] = []


HEADS = ("", "drill", "what happened", "alerts expected", "alerts fired", "seconds")


def again(report: Report, drill: str) -> str:
    """The command that repeats one drill."""
    return shlex.join(["rtmskit", "rehearse", *([report.stack] if report.stack else []), *report.flags, "--drill", drill])


def listed(drills: Mapping[str, Drill]) -> None:
    table(("drill", "what happens", "alerts"), [(name, drill.happens, _expected(drill.fires)) for name, drill in drills.items()])


def show(report: Report, *, as_json: bool) -> None:
    if as_json:
        say_json(report)
        return
    table(HEADS, [_row(result) for result in report.drills])
    for result in report.drills:
        if not result.ok:
            click.echo("\n" + "\n".join(failure(report, result)))
    for result in report.drills:
        for page_text in result.pages:
            click.echo(f"{result.name}: {page_text}")
    _show_dashboards(report)
    click.echo("\nNot shown here:")
    for sentence in report.without:
        click.echo(f"  {sentence}")


def _show_dashboards(report: Report) -> None:
    """Of drills that failed, and of a single one; all of them fill many screens."""
    results = [result for result in report.drills if result.dashboard and (not result.ok or len(report.drills) == 1)]
    for result in results:
        click.echo("\n" + "\n".join([f"{result.name}, at its end:", *result.dashboard]))
    if len(results) < sum(bool(result.dashboard) for result in report.drills):
        click.echo("\nThe dashboard at the end of every drill: --html FILE, --json, or one --drill.")


def failure(report: Report, result: DrillResult) -> list[str]:
    """The promise, what was found, what was refused, the log lines, and the command that repeats it."""
    lines = [f"{result.name} FAILED. {result.happens}"]
    lines += [
        f"  promised: {promise.what}\n  found:    {promise.found or 'it is not so'}" for promise in result.promises if not promise.holds
    ]
    lines += [f"  refused:  {what}" for what in result.refused]
    lines += [f"  log:      {line}" for line in result.lines]
    return [*lines, f"  again:    {again(report, result.name)} --logs"]


def _row(result: DrillResult) -> tuple[str, ...]:
    mark = "ok" if result.ok else "FAILED"
    return mark, result.name, result.happens, _expected(result.expected), _expected(result.fired), f"{result.took_s:.1f}"


def _expected(alerts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {at:g} s" for name, at in alerts.items()) or "-"


_STYLE = """body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1b1b;background:#fff}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;border-bottom:1px solid #ccc}
.FAILED{color:#a00;font-weight:700}.ok{color:#060;font-weight:700}pre{white-space:pre-wrap;background:#f4f4f4;padding:.6rem}"""


def page(report: Report) -> str:
    """One HTML page: the table, each drill's promises, and what could not be shown."""
    heads = "".join(f"<th>{html.escape(head)}</th>" for head in HEADS)
    body = "".join(_html_row(_row(result)) for result in report.drills)
    without = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in report.without)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Rehearsal</title><style>{_STYLE}</style>'
        f"<h1>Rehearsal of {html.escape(report.stack or 'the least configuration')}</h1>"
        f"<table><tr>{heads}</tr>{body}</table>{''.join(_html_drill(report, result) for result in report.drills)}"
        f"<h2>Not shown here</h2><ul>{without}</ul></html>\n"
    )


def _html_row(cells: tuple[str, ...]) -> str:
    mark, *rest = cells
    return f'<tr><td class="{mark}">{mark}</td>{"".join(f"<td>{html.escape(cell)}</td>" for cell in rest)}</tr>'


def _html_drill(report: Report, result: DrillResult) -> str:
    promises = "".join(_html_promise(promise) for promise in result.promises)
    pages = "".join(f"<li>{html.escape(text)}</li>" for text in result.pages)
    failed = "" if result.ok else f"<pre>{_lines(failure(report, result))}</pre>"
    drawn = f"<details><summary>Dashboard at the end</summary><pre>{_lines(result.dashboard)}</pre></details>" if result.dashboard else ""
    return f"<h2>{html.escape(result.name)}</h2><p>{html.escape(result.happens)}</p><ul>{promises}{pages}</ul>{failed}{drawn}"


def _lines(lines: Iterable[str]) -> str:
    return html.escape("\n".join(lines))


def _html_promise(promise: Promise) -> str:
    mark, word = ("ok", "holds") if promise.holds else ("FAILED", "does not hold")
    evidence = f": {html.escape(promise.found)}" if promise.found else ""
    return f'<li><span class="{mark}">{word}</span> {html.escape(promise.what)}{evidence}</li>'
