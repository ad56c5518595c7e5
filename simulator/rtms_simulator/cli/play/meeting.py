"""`rtmskit meeting`: meetings against any webhook."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.fakes.given import of_fakes
from rtms_simulator.cli.fakes.running import ask, find
from rtms_simulator.cli.fakes.switches import parsed
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json, table
from rtms_simulator.cli.pasted import checked_secret
from rtms_simulator.cli.play.media import say_what_plays
from rtms_simulator.cli.play.outcome import BadInput, Failed, Nobody, lines_of, run
from rtms_simulator.cli.play.verdict import OUTCOMES, judge, tried
from rtms_simulator.cli.receiver import of_receiver, receiver

if TYPE_CHECKING:
    from rtms_simulator.control.answers import MeetingRow, PlayRequest, ProblemRow
    from rtms_simulator.control.descriptions import UpDescription
    from rtms_simulator.kit.play import ResolvedPlay
    from rtms_simulator.scenario import Scenario
    from rtms_simulator.zoom import Zoom

_LOOK_EVERY_S = 0.2
_CHANGE = "change what is named; `rtmskit scenarios list`, `faults list` and `meeting play --help` show what is allowed."


@click.group()
def meeting() -> None:
    """Play a meeting against any webhook."""


@meeting.command()
@click.argument("scenario", required=False, shell_complete=completion.scenario_or_file)
@of_receiver
@click.option("--client-id", metavar="I", envvar="ZOOM_CLIENT_ID", show_envvar=True, help="The app's Client ID.")
@click.option(
    "--client-secret", metavar="S", envvar="ZOOM_CLIENT_SECRET", show_envvar=True, help="The app's Client Secret: verifies who joins."
)
@click.option("--media", type=click.Path(path_type=Path), help="Play this recording: .mp4, .m4a, .wav or .mp3.")
@click.option("--transcript", type=click.Path(path_type=Path), help="Say this transcript: .vtt, .srt or Zoom's .txt.")
@click.option("--strict", is_flag=True, help="Refuse files if anything in them is lost or must be repaired (`rtmskit media check`).")
@click.option("--speed", default="1", show_default=True, metavar="N|max", help="Times real time; max is as fast as the client reads.")
@click.option("--seed", type=int, help="Of the media and ids. Default: the scenario's media, and ids that are new each time.")
@of_fakes
@click.option(
    "--expect",
    type=click.Choice(OUTCOMES),
    help="How it should end: joined and recorded; joined, and the recording is deleted; or nobody joins. Default: as the scenario says.",
)
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(0, 3600),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="When nobody has joined and nothing has happened for so long, the fakes' clock runs ahead to the end.",
)
@click.option("--tls", is_flag=True, help="Serve RTMS over wss; the CA's file is named on stderr.")
@click.option("--rtms-port", type=click.IntRange(0, 65535), default=0, help="Where the RTMS servers listen. Default: a free port.")
@as_json_option
def play(
    scenario: str | None,
    webhook_url: str | None,
    secret_token: str | None,
    up_file: Path,
    client_id: str | None,
    client_secret: str | None,
    *,
    strict: bool,
    expect: str | None,
    tls: bool,
    rtms_port: int,
    as_json: bool,
    **options: Any,
) -> None:
    """Play one scripted meeting from beginning to end: signed webhooks, then RTMS for each client that joins.

    SCENARIO is a built-in name (`rtmskit scenarios list`) or a TOML file; by default stand-up, or with --media or --transcript nothing but
    those files, under their name. Without --webhook it takes place in the running `up`; with it, fakes of its own are started. Exit code 0
    means that it ended as it should (--expect) and that the receiver broke no rule: it must not take a forged event, hand a stream on
    twice, refuse a genuine event, or answer after more than 3 seconds.
    """
    if webhook_url is None and (tls or rtms_port):
        raise BadInput("--tls and --rtms-port go with --webhook", "name the receiver, or give them to `rtmskit up`.")
    url, secret, described = receiver(webhook_url, secret_token, up_file)
    request = _request(scenario, options)
    loaded = _loaded(request)
    say_what_plays(options["media"], options["transcript"], [person.name for person in loaded.people], strict=strict)
    expected = expect or loaded.outcome
    if described is not None:
        meetings = _play_in_up(described, request, options["settings"])
        problems = _problems(described, meetings, expected)
    else:
        zoom = ((client_id, client_secret, secret), tls, rtms_port)
        meetings, problems = _play_with_own_zoom(request, url, zoom, options["settings"], up_file)
    if as_json:
        say_json({"meetings": meetings, "expected": expected, "problems": problems})
    else:
        _show(meetings)
    judge(meetings, problems, expected, lambda row: _why_not_joined(described, row.id))


def _play_with_own_zoom(
    request: PlayRequest, url: str, zoom: tuple[tuple[str | None, str | None, str], bool, int], settings: Sequence[str], up_file: Path
) -> tuple[list[MeetingRow], list[ProblemRow]]:
    """`zoom`: (client id, client secret, secret token), whether over TLS, and on which port."""
    (client_id, client_secret, secret), tls, port = zoom
    client_id, client_secret = checked_secret("--client-id", client_id), checked_secret("--client-secret", client_secret)
    if not client_id or not client_secret:
        raise BadInput("--client-id and --client-secret are missing", "pass those that your receiver signs with: they verify who joins.")
    with contextlib.suppress(Nobody, BadInput):
        find(up_file)
        click.echo("A Zoom of its own plays this: the running `up` is not used with --webhook.", err=True)
    return run(_play_here(request, url, (client_id, client_secret, secret), settings, tls=tls, port=port))


def _request(scenario: str | None, options: Mapping[str, Any]) -> PlayRequest:
    """What to play, with absolute names of files: the running `up` may have been started in another folder."""
    from rtms_simulator.control.answers import PlayRequest

    media, transcript = (str(Path(options[key]).resolve()) if options[key] is not None else None for key in ("media", "transcript"))
    is_file = scenario is not None and ("/" in scenario or scenario.endswith(".toml"))
    named = str(Path(scenario).resolve()) if scenario is not None and is_file else scenario
    speed, seed, faults = options["speed"], options["seed"], list(options["faults"])
    patience_s = options["patience_s"]
    return PlayRequest(scenario=named, media=media, transcript=transcript, speed=speed, seed=seed, faults=faults, patience_s=patience_s)


def _loaded(request: PlayRequest) -> Scenario:
    """The scenario, read here: a mistake in it is reported before anything is sent. Raises BadInput."""
    from rtms_simulator.errors import ScenarioError
    from rtms_simulator.kit.play import scenario_of

    try:
        return scenario_of(request)
    except ScenarioError as error:
        raise BadInput(lines_of(error), _CHANGE) from None


def _play_in_up(described: UpDescription, request: PlayRequest, settings: Sequence[str]) -> list[MeetingRow]:
    """Play it in the running `up`, with progress on stderr; break it off when we are interrupted."""
    import msgspec

    from rtms_simulator.clock import Clock
    from rtms_simulator.control.answers import MeetingList, MeetingRow, SwitchList

    if settings:
        ask(described, "/switches", SwitchList, "PATCH", {"set": parsed(settings)})
    begun = ask(described, "/meetings", MeetingList, "POST", msgspec.structs.replace(request, wait=False), timeout_s=60).meetings
    known_notes: set[tuple[int, int, str]] = set()

    async def follow() -> list[MeetingRow]:
        clock, rows = Clock(), begun
        try:
            while True:
                _tell(rows, known_notes)
                if all(row.ended_ms is not None for row in rows):
                    return rows
                await clock.sleep(_LOOK_EVERY_S)
                rows = [ask(described, f"/meetings/{row.id}", MeetingRow) for row in rows]
        except BaseException:
            for row in rows:
                with contextlib.suppress(Nobody, BadInput, Failed):
                    ask(described, f"/meetings/{row.id}", MeetingRow, "DELETE")
            raise

    return run(follow())


def _problems(described: UpDescription, meetings: Sequence[MeetingRow], expected: str) -> list[ProblemRow]:
    """What the receiver did that none may do. To see that something is deleted may take a minute."""
    from rtms_simulator.control.answers import ProblemList

    answers = [ask(described, f"/meetings/{row.id}/problems", ProblemList, query={"expected": expected}, timeout_s=120) for row in meetings]
    return [one for answer in answers for one in answer.problems]


def _tell(rows: Sequence[MeetingRow], known_notes: set[tuple[int, int, str]]) -> None:
    from rtms_simulator.kit.rows import notes

    now = {(row.id, note.ms, note.what) for row in rows for note in notes(row)}
    for number, ms, what in sorted(now - known_notes, key=lambda one: one[1]):
        _note(number, ms, what)
    known_notes.update(now)


def _own_zoom(
    request: PlayRequest, credentials: tuple[str, str, str], settings: Sequence[str], *, tls: bool, port: int
) -> tuple[Zoom, ResolvedPlay]:
    """A Zoom that is not started yet, and what it will play. Raises BadInput."""
    from rtms_simulator.cli.service.ca import DEFAULT_FOLDER
    from rtms_simulator.clock import Clock
    from rtms_simulator.errors import InputError, PortTakenError
    from rtms_simulator.kit.control.switches import by_vendor, changed
    from rtms_simulator.kit.play import resolve
    from rtms_simulator.kit.stack import drawn_seed
    from rtms_simulator.serving.authority import CertificateAuthority
    from rtms_simulator.serving.processes import Port
    from rtms_simulator.zoom import Tls, Zoom, ZoomApp

    clock = Clock()
    try:
        resolved = resolve(request)
        Port("the RTMS server", number=port).release()
        authority = Tls(CertificateAuthority.of_folder(DEFAULT_FOLDER)) if tls else None
        # The receiver may remember the streams of an earlier play, so ids must be new unless a seed was given.
        seed = drawn_seed(clock) if request.seed is None else resolved.scenario.seed
        zoom = Zoom(clock, ZoomApp(*credentials), seed=seed, port=port, tls=authority)
        for vendor, values in by_vendor({**resolved.scenario.switches, **parsed(settings)}):
            if vendor != "zoom":
                raise BadInput(f"the switch {vendor}.{next(iter(values))}: only Zoom is simulated here", "play it in `rtmskit up`.")
            zoom.switches = changed("zoom", zoom.switches, values)
    except InputError as error:
        raise BadInput(str(error), _CHANGE) from None
    except PortTakenError as error:
        raise BadInput(str(error), "leave --rtms-port out for a free one.") from None
    return zoom, resolved


async def _play_here(
    request: PlayRequest, url: str, credentials: tuple[str, str, str], settings: Sequence[str], *, tls: bool, port: int
) -> tuple[list[MeetingRow], list[ProblemRow]]:
    """Play it in a Zoom of our own. What the receiver does at Recall is not seen."""
    from rtms_simulator.clock import Clock
    from rtms_simulator.errors import InputError, NoReceiverError
    from rtms_simulator.kit.control import invariants
    from rtms_simulator.kit.play import perform
    from rtms_simulator.kit.rows import NO_LINKS, meeting_row
    from rtms_simulator.serving.http_server import HttpServer

    zoom, resolved = _own_zoom(request, credentials, settings, tls=tls, port=port)
    if zoom.tls is not None:
        click.echo(f"RTMS clients must trust {zoom.tls.ca_file} (`rtmskit ca help` says how)", err=True)
    rest = HttpServer(zoom.rest_app, purpose="Zoom's REST API")
    await zoom.start()
    await rest.start()
    click.echo(f"Zoom's REST API and OAuth: {rest.url}; event WebSocket: {zoom.event_socket_url()}", err=True)
    try:
        reports = await perform(zoom, resolved, url, real_time=Clock(), on_note=_note, patient=False)
    except NoReceiverError as error:
        raise Nobody(str(error), "is the receiver running there?") from None
    except InputError as error:
        raise BadInput(str(error), _CHANGE) from None
    finally:
        await rest.aclose()
        await zoom.aclose()
    problems = [one for report in reports for one in invariants.judge(report.deliveries, [], [], [])]
    return [meeting_row(report, NO_LINKS) for report in reports], [invariants.row(one) for one in problems]


def _note(number: int, ms: int, what: str) -> None:
    click.echo(f"{ms / 1000:8.3f} s  meeting {number}: {what}", err=True)


def _show(meetings: Sequence[MeetingRow]) -> None:
    for row in meetings:
        click.echo(f"{row.scenario} ({row.product} {row.entity_id})")
        for stream in row.streams:
            joined = "never joined" if stream.joined_ms is None else f"joined after {stream.joined_ms} ms"
            click.echo(f"  stream {stream.stream_id}: {joined}, {stream.state}, stop reason {stream.stop_reason}")
            for kind, sent in stream.sent.items():
                click.echo(f"    {kind:<10} {sent.packets:>8,} packets {sent.bytes:>14,} bytes  sha256 {sent.sha256[:16]}…")
    rows = [
        (one.event, one.outcome, ", ".join(tried(attempt) for attempt in one.attempts) or "not sent", ", ".join(one.faults))
        for row in meetings
        for one in row.deliveries
    ]
    table(("event", "outcome", "answers", "faults"), rows)


def _why_not_joined(described: UpDescription | None, meeting: int) -> str:
    """The requests to Recall that were refused, if this `up` saw any."""
    if described is not None:
        from rtms_simulator.control.answers import RequestList

        query = {"meeting": str(meeting), "status": "refused"}
        for row in ask(described, "/requests", RequestList, query=query).requests[-3:]:
            click.echo(
                f"Recall answered {row.status or 'nothing'} to {row.operation or row.path} (`rtmskit requests show {row.id}`)", err=True
            )
    return "the webhook accepted it but nothing joined: check what it sends to Recall (`rtmskit requests list`)."
