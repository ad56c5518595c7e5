"""The generated parts of the pages in docs/. A page says `<!--= NAME() =-->`, and `make docs` writes what NAME prints below it (cog)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.docs.diagrams import diagram

from rtms_infra.alerts import OnLine, OnQuery, policies
from rtms_infra.config import Alerts, Place
from rtms_relay import zoom
from rtms_relay.handoff import answers, attempt, erasure, facts, retrieval
from rtms_relay.logs import EVENTS
from rtms_relay.settings import VARIABLES
from rtms_simulator.cli import reference as cli
from rtms_simulator.cli.service import ca
from rtms_simulator.faults import reference as faults
from rtms_simulator.kit.control import examples
from rtms_simulator.kit.control import reference as control
from rtms_simulator.kit.control.defaults import default_switches
from rtms_simulator.recall.evidence import uncertain
from rtms_simulator.recall.http.schemas.request_schemas import REALTIME_EVENTS
from rtms_simulator.recall.records.tables import INITIAL, TABLES
from rtms_simulator.recall.rtms.codes import CUT_SHORT, STATUS_NAMES
from rtms_simulator.recall.switches import switch_table
from rtms_simulator.recall.webhooks.sender import EVENTS as RECALL_EVENTS
from rtms_simulator.scenario import reference as scenario
from rtms_simulator.zoom.switches import switch_markdown
from rtms_simulator.zoom.webhooks.events import EVENTS as ZOOM_EVENTS

PLACE = Place("project", "stack", "name", "region", "second", "location", protect=True)
ALERTS = Alerts((), (), (), "", None, None, None, ack_latency_ms=0, uptime_check=True)
"""Any deployment: what an alert is called and waits for is the same in each."""

_PAUSES = {
    "none": "none",
    "backoff": "after 0.5 s, doubling to 8 s",
    "refused": "after 5 s",
    "busy": "after Retry-After, or 30 s",
    "in_flight": "after 1 s",
}

# docs/configuration.md


def settings() -> None:
    rows = []
    for variable in VARIABLES:
        default = "required" if variable.required else f"`{variable.default}`" if variable.default else "empty"
        name = f"`{variable.name}`" + (" (secret)" if variable.secret else "")
        rows.append((name, ", ".join(variable.roles), default, f"{variable.meaning} Allowed: {variable.allowed}."))
    _table(("variable", "read by", "default", "meaning"), rows)


# docs/handoff.md


def attempts() -> None:
    _states(attempt.TRANSITIONS, "pending", attempt.TRIGGERS)


def retrievals() -> None:
    _states(retrieval.TRANSITIONS, "none", retrieval.TRIGGERS)


def erasures() -> None:
    _states(erasure.TRANSITIONS, "none", erasure.TRIGGERS)


def recall_answers() -> None:
    rows = []
    for first, last, row in answers.RULES:
        status = str(first) if first == last else f"{first}-{last}"
        alert = ", ALERT" if row.alert else ""
        rows.append((status, f"`{row.kind}`{alert}{': ' + row.cause if row.cause else ''}", _PAUSES[row.pause]))
    rows += [(f"nothing: {failure}", f"`{row.kind}`: {row.cause}", _PAUSES[row.pause]) for failure, row in answers.NO_ANSWER.items()]
    rows.append(("2xx without an id", f"`{answers.NO_ID.kind}`: {answers.NO_ID.cause}", _PAUSES[answers.NO_ID.pause]))
    _table(("Recall answers", "means", "next try"), rows)


def stop_reasons() -> None:
    rows = [
        (number, reason.name, f"ALERT `not_joined`: {reason.loss}" if reason.loss else "") for number, reason in facts.STOP_REASONS.items()
    ]
    _table(("stop_reason", "means", "on an accepted hand-off"), rows)


# docs/recall-coverage.md


def recall_switches() -> None:
    rows = [(f"`{row['name']}`", f"`{row['default']}`", row["evidence"], row["point"], row["doc"]) for row in switch_table()]
    _table(("switch", "default", "evidence", "point", "meaning"), rows)


def recall_guesses() -> None:
    rows = [(where, ", ".join(f"`{name}`" for name in names), label) for where, names, label in uncertain()]
    _table(("where", "what", "evidence"), rows)


def recall_states() -> None:
    for kind, table in TABLES.items():
        lines = [f"    {source} --> {target}: {fact}" for (source, fact), target in table.items()]
        print(f"**{kind}**", "", "```mermaid", "stateDiagram-v2", f"    [*] --> {INITIAL[kind]}", *lines, "```", "", sep="\n")


def recall_codes() -> None:
    for reason, name in CUT_SHORT.items():
        print(f"- stop reason {reason}: `{name}`")
    for status, name in STATUS_NAMES.items():
        print(f"- status {status}: `zoom_rtms_{name}`")


# docs/cli.md, control-plane.md, faults.md, scenarios.md, switches.md, trust.md, zoom-coverage.md


def commands() -> None:
    print(cli.markdown())


def control_operations() -> None:
    print(control.operations_markdown())


def fault_surfaces() -> None:
    print(faults.surfaces_markdown())


def fault_words() -> None:
    print(faults.markdown())


def scenarios() -> None:
    print("\n" + scenario.library() + "\n")


def scenario_keys() -> None:
    print("\n" + scenario.keys() + "\n")


def scenario_languages() -> None:
    print(scenario.languages() + ".")


def scenario_kinds() -> None:
    print("\n" + scenario.kinds() + "\n")


def switches() -> None:
    print(control.switches_markdown())


def switch_surfaces() -> None:
    print(examples.surfaces_markdown())


def inferred_switches() -> None:
    """The switches whose default no document, sample or observation vouches for."""
    rows = [row for row in default_switches() if row.evidence in ("inferred", "unknown")]
    _table(
        ("switch", "default", "evidence", "meaning"),
        [(f"`{row.name}`", f"`{json.dumps(row.default)}`", row.evidence, row.says) for row in rows],
    )


def trust_the_authority() -> None:
    print("\n" + ca.markdown() + "\n")


def zoom_switches() -> None:
    print("\n" + switch_markdown() + "\n")


# docs/events.md

_ZOOM_EVENTS: Mapping[type, str] = {
    zoom.Started: "hands the stream to Recall",
    zoom.Stopped: "ends the hand-off, looks for the recording; stop reason 8 deletes it",
    zoom.Interrupted: "notes it; with other `server_urls` it is a start",
    zoom.Notice: "logs it: `concurrency`",
    zoom.Deauthorized: "logs it: `app_deauthorized`",
    zoom.Challenge: "answers it",
    zoom.Unknown: "acknowledges it, and does nothing",
}
"""What the deployed function does with an event, by what it reads in it."""


def zoom_events() -> None:
    """Every event that the fake Zoom can send, with its fields."""
    rows = []
    for name, event in ZOOM_EVENTS.items():
        read = zoom.parse(json.dumps({"event": name, "event_ts": event.event_ts, "payload": event.payload}).encode())
        rows.append((f"`{name}`", ", ".join(f"`{key}`" for key in event.payload), _ZOOM_EVENTS[type(read)]))
    _table(("event", "fields of its payload", "the deployed function"), rows)


def recall_events() -> None:
    """Every status webhook that the fake Recall can send, by its object."""
    codes: dict[str, list[str]] = {}
    for name in RECALL_EVENTS:
        kind, _, code = name.partition(".")
        codes.setdefault(kind, []).append(f"`{kind}.{code}`")
    _table(("object", "events"), [(f"`{kind}`", ", ".join(events)) for kind, events in codes.items()])


def realtime_events() -> None:
    """What a real-time endpoint of each type may ask for."""
    rows = [(f"`{kind}`", ", ".join(f"`{name}`" for name in events)) for kind, events in REALTIME_EVENTS.items()]
    _table(("type of the endpoint", "events that it may ask for"), rows)


# docs/logs.md


def log_events() -> None:
    """Every event of the functions' log, with its severities, its fields and the alerts that wait for it."""
    from tests.infra.logged import SEVERITIES, logged

    rows = []
    for event, meaning in EVENTS.items():
        places = [place for place in logged() if place.event == event]
        severities = [name for name in SEVERITIES if any(name in place.severities for place in places)]
        fields = sorted({name for place in places for name in place.fields})
        rows.append((f"`{event}`", ", ".join(severities), meaning, ", ".join(f"`{name}`" for name in fields), ", ".join(_alerts_on(event))))
    _table(("event", "severity", "means", "fields", "alert"), rows)


def _alerts_on(event: str) -> Iterable[str]:
    for policy in policies(PLACE, ALERTS):
        link = f"[`{policy.key}`](runbook.md#{policy.key})"
        if isinstance(policy.condition, OnLine) and event in policy.condition.events:
            yield link
        elif isinstance(policy.condition, OnQuery) and f'event="{event}"' in policy.condition.query:
            yield f"({link})"


# docs/plans.md


def rehearsal_drills() -> None:
    """Every drill of `rtmskit rehearse`."""
    from rtms_simulator.cli.rehearse.drill import drills

    rows = [
        (f"`{name}`", drill.happens, ", ".join(f"`{alert}` {at:g} s" for alert, at in drill.fires.items()) or "none")
        for name, drill in drills().items()
    ]
    _table(("drill", "what happens", "alerts that must fire, and within what time"), rows)


def rehearsal_meanings() -> None:
    """What each resource type is in a rehearsal, or why it is nothing there."""
    from rtms_infra.rehearsal.registered import MEANINGS, WITHOUT

    rows = [(f"`{kind}`", meaning) for kind, (_, meaning) in MEANINGS.items()]
    _table(("resource type", "in a rehearsal"), [*rows, *((f"`{kind}`", f"nothing: {why}") for kind, why in WITHOUT.items())])


def rehearsal_mistakes() -> None:
    """Planted mistakes, the rule and the drill that see each, and what names it in the drill's report."""
    from tests.e2e.rehearsed_mistakes import MISTAKES, Seen

    def row(one: Seen) -> tuple[str, ...]:
        rule, drill = one.planted.rule.replace("_", " "), " ".join([f"`{one.drill}`", *one.flags])
        return one.kind, one.what, f"`{one.planted.file}`", rule, drill, one.words

    _table(("kind", "mistake", "planted in", "rule", "drill", "named by"), map(row, MISTAKES))


def plans() -> None:
    from tests.infra.deployment import EXAMPLES, Runner
    from tests.pulumi_engine.plans import table

    runner = Runner()  # not the one of the process, which a fixture may hold
    try:
        print(table(runner, EXAMPLES))
    finally:
        runner.close()


# docs/architecture.md


def relay_imports() -> None:
    _imports_of("rtms_relay")


def simulator_imports() -> None:
    _imports_of("rtms_simulator")


def infra_imports() -> None:
    _imports_of("rtms_infra")


def _imports_of(package: str) -> None:
    from tests.docs.import_graph import USED_EVERYWHERE, picture

    left_out = ", ".join(f"`{name}`" for name in sorted(USED_EVERYWHERE[package]))
    print("", picture(package), "", f"Left out, because most others import them: {left_out}.", "", sep="\n")


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    print(f"| {' | '.join(head)} |")
    print(f"| {' | '.join('---' for _ in head)} |")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")


def _states(transitions: Mapping[Any, Any], initial: str, triggers: Mapping[Any, str]) -> None:
    print("```mermaid", diagram(transitions, initial), "```", "", sep="\n")
    _table(("trigger", "means"), [(f"`{trigger}`", meaning) for trigger, meaning in triggers.items()])
