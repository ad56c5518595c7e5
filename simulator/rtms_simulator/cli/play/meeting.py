"""`rtmskit meeting`: meetings against any webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from rtms_simulator.cli.fakes.clock import why_refused
from rtms_simulator.cli.fakes.running import ask
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import table
from rtms_simulator.cli.pasted import checked_secret
from rtms_simulator.cli.play.media import say_what_plays
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody, run
from rtms_simulator.cli.receiver import of_receiver, receiver

_CHANGE = "change what is named; `rtmskit scenarios list`, `faults list` and `meeting play --help` show what there is."


@click.group()
def meeting() -> None:
    """Play a meeting against any webhook."""


@meeting.command()
@click.argument("scenario", default="stand-up")
@of_receiver
@click.option("--client-id", metavar="I", envvar="ZOOM_CLIENT_ID", show_envvar=True, help="The app's Client ID.")
@click.option(
    "--client-secret", metavar="S", envvar="ZOOM_CLIENT_SECRET", show_envvar=True, help="The app's Client Secret: verifies who joins."
)
@click.option("--media", type=click.Path(path_type=Path), help="Play this recording: .mp4, .m4a, .wav or .mp3.")
@click.option("--transcript", type=click.Path(path_type=Path), help="Say this transcript: .vtt, .srt or Zoom's .txt.")
@click.option("--strict", is_flag=True, help="Refuse files of which anything is lost or had to be repaired (`rtmskit media check`).")
@click.option("--speed", default="1", show_default=True, metavar="N|max", help="Times real time, or as fast as it is read.")
@click.option("--seed", type=int, help="Of the media and ids. Default: the scenario's media, and ids that are new each time.")
@click.option("--fault", "faults", multiple=True, metavar="FAULT", help="Such as duplicate or drop-media:at=3 (`rtmskit faults list`).")
@click.option("--tls", is_flag=True, help="Serve RTMS over wss; the CA's file is named on stderr.")
@click.option("--rtms-port", type=click.IntRange(0, 65535), default=0, help="Where the RTMS servers listen. Default: a free port.")
@as_json_option
def play(
    scenario: str,
    webhook_url: str | None,
    secret_token: str | None,
    up_file: Path,
    client_id: str | None,
    client_secret: str | None,
    strict: bool,
    tls: bool,
    rtms_port: int,
    as_json: bool,
    **asked: Any,
) -> None:
    """Play one scripted meeting from beginning to end: signed webhooks, then RTMS for whoever joins.

    SCENARIO is a built-in name (`rtmskit scenarios list`) or a TOML file. Without --webhook it takes place in the running `up`.
    Exit code 0 means that every stream was joined.
    """
    if webhook_url is None and (tls or rtms_port):
        raise BadInput("--tls and --rtms-port go with --webhook", "name the receiver, or give them to `rtmskit up`.")
    url, secret, described = receiver(webhook_url, secret_token, up_file)
    wanted = {"scenario": scenario} | {
        key: str(value) if isinstance(value, Path) else value for key, value in asked.items() if value is not None
    }
    wanted["faults"] = list(wanted["faults"])
    for key in ("media", "transcript"):
        if key in wanted:
            wanted[key] = str(Path(wanted[key]).resolve())
    say_what_plays(asked["media"], asked["transcript"], _names(scenario), strict)
    if described is not None:
        reports = ask(f"{described['control_url']}/meetings", "POST", wanted, timeout_s=None)["meetings"]
    else:
        client_id, client_secret = checked_secret("--client-id", client_id), checked_secret("--client-secret", client_secret)
        if not client_id or not client_secret:
            raise BadInput(
                "--client-id and --client-secret are missing", "pass those that your receiver signs with: they verify who joins."
            )
        reports = run(_play_here(wanted, url, (client_id, client_secret, secret), tls, rtms_port))
    if as_json:
        click.echo(json.dumps({"meetings": reports}, ensure_ascii=False))
    else:
        _show(reports)
    _judge(reports)


def _names(scenario: str) -> list[str]:
    """Who is in a scenario, and so a speaker by name; nobody if it cannot be read, which is told later."""
    from rtms_simulator.scenario import ScenarioError, load

    try:
        return [person.name for person in load(scenario).people]
    except ScenarioError:
        return []


async def _play_here(wanted: Mapping[str, Any], url: str, credentials: tuple[str, str, str], tls: bool, port: int) -> list[dict[str, Any]]:
    import tempfile

    from rtms_simulator.clock import Clock
    from rtms_simulator.kit.play import NoReceiver, Unplayable, perform, read
    from rtms_simulator.kit.stack import drawn_seed
    from rtms_simulator.serving.processes import Port, PortTaken
    from rtms_simulator.zoom import Tls, Zoom, ZoomApp

    clock = Clock()
    with tempfile.TemporaryDirectory(prefix="rtmskit-") as folder:
        try:
            playbill = read(wanted)
            Port("the RTMS server", number=port).release()
        except Unplayable as error:
            raise BadInput(str(error), _CHANGE) from None
        except PortTaken as error:
            raise BadInput(str(error), "leave --rtms-port out for a free one.") from None
        authority = Tls(Path(folder)) if tls else None
        if authority is not None:
            click.echo(f"RTMS clients must trust {authority.ca_file}", err=True)
        # The receiver may remember the streams of an earlier play, so ids must be new unless a seed was asked for.
        seed = drawn_seed(clock) if wanted.get("seed") is None else playbill.scenario.seed
        zoom = Zoom(clock, ZoomApp(*credentials), seed=seed, port=port, tls=authority)
        await zoom.start()
        try:
            reports = await perform(zoom, playbill, url, real_time=clock, on_note=_note, patient=False)
        except NoReceiver as error:
            raise Nobody(str(error), "is the receiver running there?") from None
        except Unplayable as error:
            raise BadInput(str(error), _CHANGE) from None
        finally:
            await zoom.aclose()
    return [report.as_dict() for report in reports]


def _note(number: int, ms: int, what: str) -> None:
    click.echo(f"{ms / 1000:8.3f} s  meeting {number}: {what}", err=True)


def _show(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        click.echo(f"{report['scenario']} ({report['product']} {report['entity_id']})")
        for stream in report["streams"]:
            joined = "never joined" if stream["joined_ms"] is None else f"joined after {stream['joined_ms']} ms"
            click.echo(f"  stream {stream['stream_id']}: {joined}, {stream['state']}, stop reason {stream['stop_reason']}")
            for kind, sent in stream["sent"].items():
                click.echo(f"    {kind:<10} {sent['packets']:>8,} packets {sent['bytes']:>14,} bytes  sha256 {sent['sha256'][:16]}…")
    rows = [
        (row["event"], row["outcome"], ", ".join(_tried(attempt) for attempt in row["attempts"]) or "not sent", ", ".join(row["faults"]))
        for report in reports
        for row in report["deliveries"]
    ]
    table(("event", "outcome", "answers", "faults"), rows)


def _tried(attempt: Mapping[str, Any]) -> str:
    return f"{attempt['status']} in {attempt['latency_ms']:.0f} ms" + (f" ({attempt['problem']})" if attempt["problem"] else "")


def _judge(reports: list[dict[str, Any]]) -> None:
    for report in reports:
        started = [row for row in report["deliveries"] if row["event"].endswith("rtms_started") and row["attempts"]]
        refused = next((row for row in started if row["outcome"] != "delivered"), None)
        for stream in report["streams"]:
            if stream["joined_ms"] is None:
                nobody = f"nobody joined stream {stream['stream_id']}"
                if refused:
                    last = refused["attempts"][-1]
                    hint = why_refused(last["status"]) or "look at the receiver's log."
                    raise Failed(f"{nobody}: rtms_started ended {refused['outcome']}, {_tried(last)}", hint)
                raise Failed(nobody, "the webhook took it; look at whoever it hands on to.")


def _absolute(scenario: str) -> str:
    """A file's name as the running `up`, which may have been started elsewhere, can open it; a built-in name stays."""
    return str(Path(scenario).resolve()) if "/" in scenario or scenario.endswith(".toml") else scenario
