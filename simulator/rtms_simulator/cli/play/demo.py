"""`rtmskit demo`: everything started, one meeting's whole way, everything stopped."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from rtms_simulator.cli import completion
from rtms_simulator.cli.fakes.given import of_fakes
from rtms_simulator.cli.fakes.switches import parsed
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import as_text, log_line, say_json, table
from rtms_simulator.cli.play.outcome import BadInput, Failed, run
from rtms_simulator.cli.play.verdict import OUTCOMES
from rtms_simulator.cli.starting import StartLines, checked_state, explained, of_options, state_option, writable
from rtms_simulator.packaging import extras

if TYPE_CHECKING:
    from rtms_simulator.control.answers import PlayRequest
    from rtms_simulator.control.run_summary import RunSummary, RunTimes, UnrecordedRun
    from rtms_simulator.kit.control.fakes import Place
    from rtms_simulator.kit.end_to_end import RunStep
    from rtms_simulator.kit.play import ResolvedPlay
    from rtms_simulator.scenario.actions import Outcome

Tell = Callable[[str], None]
OnLine = Callable[[str, str], None]
Opened = Callable[[Path, int, Tell, OnLine | None], "contextlib.AbstractAsyncContextManager[Place]"]
"""(folder, seed, who hears how it goes on, who hears the functions' lines) -> a whole that runs."""

PATIENCE_S = 1.0
"""Here nobody works unseen: every part is one of ours."""

REHEARSED_PATIENCE_S = 20.0
"""There grants are asked and a store is opened for the first start, which nothing here sees."""

KEPT = Path(".rtmskit/demo")


@click.command()
@state_option
@click.option(
    "--scenario",
    shell_complete=completion.scenario_or_file,
    default="stand-up",
    show_default=True,
    help="The meeting: a built-in name, or a TOML file.",
)
@click.option("--expect", type=click.Choice(OUTCOMES), help="How it should end. Default: as the scenario says.")
@click.option("--speed", default="1", show_default=True, metavar="N|max", help="Times real time; max is as fast as the client reads.")
@click.option("--seed", type=int, help="Makes ids and secrets. Default: another at each start, which is shown; media have the scenario's.")
@click.option("--keep", is_flag=True, help=f"Keep recording and records in {KEPT} (of an earlier demo they are replaced).")
@of_fakes
@click.option("--logs", is_flag=True, help="Show the functions' log lines.")
@click.option("--rehearsed", is_flag=True, help="In what the Pulumi program deploys, built on this machine (`rtmskit rehearse`).")
@as_json_option
def demo(
    state_url: str,
    scenario: str,
    expect: Outcome | None,
    speed: str,
    seed: int | None,
    *,
    keep: bool,
    logs: bool,
    rehearsed: bool,
    faults: Sequence[str],
    settings: Sequence[str],
    as_json: bool,
) -> None:
    """Play one whole meeting on local fakes and download its recording.

    Both functions run under the real functions-framework, Zoom's webhook is signed and verified, Cloud Tasks dispatches the hand-off, a
    Recall joins the RTMS stream and records it, and the recording is downloaded and compared with what was played, sample by sample.
    A meeting that should end without a recording (`revoked`, `never-joined`, `bad-signature`) succeeds if it does.

    With --rehearsed all of that happens in the deployment that the Pulumi program describes, built on loopback. A --fault that never acts
    is a failure.
    """
    from rtms_simulator.control.answers import PlayRequest

    patience_s = REHEARSED_PATIENCE_S if rehearsed else PATIENCE_S
    play = _asked(PlayRequest(scenario=scenario, speed=speed, faults=list(faults), patience_s=patience_s), settings)
    checked_state(state_url)
    if rehearsed:
        _can_be_rehearsed(state_url)
    with _directory(keep=keep) as directory, explained(of_options(state_url)):
        place = partial(_deployed if rehearsed else _stack, state_url)
        summary = run(_play(place, play, seed, directory, logs=logs, expect=expect, quiet=as_json))
    _answer(summary, keep=keep, as_json=as_json)


def _asked(request: PlayRequest, settings: Sequence[str]) -> ResolvedPlay:
    """What to play; the switches that were given come after the scenario's own. Raises BadInput."""
    from dataclasses import replace

    from rtms_simulator.errors import InputError, PlayRequestError
    from rtms_simulator.kit.control.defaults import check_switches
    from rtms_simulator.kit.play import resolve

    switches = parsed(settings)
    try:
        check_switches(switches)
        play = resolve(request)
        if play.scenario.meetings != 1:
            raise PlayRequestError(f"{play.scenario.name} is {play.scenario.meetings} meetings; a demo plays one")
    except InputError as error:
        do = "change what is named; `scenarios list`, `faults list`, `switches list` and `demo --help` show what is allowed."
        raise BadInput(str(error), do) from None
    return replace(play, scenario=replace(play.scenario, switches={**play.scenario.switches, **switches}))


def _answer(summary: RunSummary | UnrecordedRun, *, keep: bool, as_json: bool) -> None:
    from rtms_simulator.control.run_summary import RunSummary, UnrecordedRun

    if isinstance(summary, RunSummary) and not keep:
        summary = _without_paths(summary)
    if as_json:
        say_json(summary)
    elif isinstance(summary, RunSummary):
        _show(summary)
    else:
        _show_without_recording(summary)
    if isinstance(summary, UnrecordedRun) and not summary.ok:
        raise Failed(f"Recall still has {', '.join(summary.left_at_recall)}", "run it again with --logs to see what the functions say.")
    if not summary.ok:
        raise Failed("what was recorded is not what was played", "look at `samples` and `transcript` in the summary (--json).")


def _without_paths(summary: RunSummary) -> RunSummary:
    """The same of files that are not kept."""
    from msgspec import UNSET
    from msgspec.structs import replace

    artifacts = {name: replace(file, path=UNSET) for name, file in summary.artifacts.items()}
    return replace(summary, recording=replace(summary.recording, path=UNSET), artifacts=artifacts)


@contextlib.contextmanager
def _directory(*, keep: bool) -> Generator[Path]:
    if keep:
        shutil.rmtree(KEPT, ignore_errors=True)
        writable("--keep", KEPT, KEPT)
        yield KEPT
    else:
        with tempfile.TemporaryDirectory(prefix="rtmskit-") as folder:
            yield Path(folder)


def _can_be_rehearsed(state_url: str) -> None:
    if state_url:
        raise BadInput("--rehearsed keeps its records where the Pulumi program says", "leave --state out.")
    if lacking := extras.missing("infra"):
        raise BadInput(f"--rehearsed: not installed: {', '.join(lacking)}", extras.advice("infra"))


async def _play(
    opened: Opened, play: ResolvedPlay, seed: int | None, directory: Path, *, logs: bool, expect: Outcome | None, quiet: bool
) -> RunSummary | UnrecordedRun:
    from rtms_simulator.clock import Clock
    from rtms_simulator.errors import RecordingLostError, WorkerError
    from rtms_simulator.kit import end_to_end
    from rtms_simulator.kit.stack import drawn_seed
    from rtms_simulator.serving.background import first_of

    real_time = Clock()
    begun = real_time.now()

    def tell(what: str) -> None:
        if not quiet:
            click.echo(what, err=True)

    def step(one: RunStep) -> None:
        tell(f"{one.at_ms / 1000:8.3f} s  {one.what}")

    try:
        async with opened(directory, drawn_seed(real_time) if seed is None else seed, tell, log_line if logs else None) as place:
            tell(f"... all answer after {real_time.now() - begun:.1f} s. The meeting: {play.scenario.summary or play.scenario.name}")
            running = end_to_end.run(place, play, directory / "downloads", real_time=real_time, on_step=step, expected=expect)
            done = await first_of(running, _end_of_child(place))
            return done.result()
    except (RecordingLostError, WorkerError) as error:
        raise Failed(f"it did not end as it should: {error}", "run it again with --logs to see what the functions say.") from None


@contextlib.asynccontextmanager
async def _stack(state_url: str, directory: Path, seed: int, tell: Tell, on_line: OnLine | None) -> AsyncGenerator[Place]:
    """The kit's own whole."""
    from rtms_simulator.kit.stack import Plan, Stack

    lines = StartLines(on_line or (lambda _who, _line: None))
    stack = Stack(Plan(directory, state_url=state_url, seed=seed), on_line=lines, on_wait=tell)
    try:
        tell("Starting Zoom, Recall, Cloud Tasks and both functions ...")
        with lines.until_started():
            await stack.start()
        yield stack
    finally:
        await stack.aclose()


@contextlib.asynccontextmanager
async def _deployed(_state_url: str, _directory: Path, seed: int, tell: Tell, on_line: OnLine | None) -> AsyncGenerator[Place]:
    """What the Pulumi program deploys. Nothing of it is kept."""
    from rtms_simulator.cli.rehearse.deployed.hosted import rehearsed
    from rtms_simulator.kit.stack import RECORDING_CONFIG

    with tempfile.TemporaryDirectory(prefix="rtmskit-rehearsal-") as folder:
        async with rehearsed(Path(folder), tell, seed, on_line, recallRecordingConfig=as_text(RECORDING_CONFIG)) as place:
            yield place


async def _end_of_child(place: Place) -> NoReturn:
    raise await place.broken()


WORDS = {
    "started": "Zoom sent meeting.rtms_started",
    "acked": "the webhook had it durable and answered",
    "accepted": "the worker had handed it on: Recall accepted",
    "joined": "Recall joined the stream",
    "stopped": "the meeting was over",
    "recorded": "the recording was done",
    "downloaded": "everything was downloaded",
}


def _show_without_recording(summary: UnrecordedRun) -> None:
    click.echo()
    ids = summary.ids
    rows = [("seed", str(summary.seed)), ("meeting", ids.meeting_uuid), ("stream", ids.rtms_stream_id)]
    table(("", "id"), [*rows, ("hand-off", ids.handoff)])
    if summary.outcome == "deleted":
        what = "Consent was withdrawn (stop reason 8): what was recorded is deleted at Recall, and the record is a tombstone."
    else:
        what = f"Nobody joined (stop reason {summary.stop_reason}). The worker says: {summary.reason or summary.handoff}"
    click.echo(f"\n{what}\nThat is the right end of {summary.scenario}.")


def _told(times: RunTimes) -> list[tuple[str, str]]:
    """By the clock: Recall may join before the worker has noted that it was accepted."""
    moments = [(getattr(times, name), words) for name, words in WORDS.items()]
    return [(f"{ms:,} ms", words) for ms, words in sorted(moments, key=lambda moment: moment[0])]


def _show(summary: RunSummary) -> None:
    click.echo()
    table(("at", "what"), _told(summary.timeline_ms))
    click.echo()
    ids = summary.ids
    rows = [("seed", str(summary.seed)), ("meeting", ids.meeting_uuid), ("stream", ids.rtms_stream_id), ("hand-off", ids.handoff)]
    table(("", "id"), [*rows, ("Meeting Direct Connect", ids.meeting_direct_connect or ""), ("recording", ids.recording)])
    click.echo()
    rows = [(name, f"{file.bytes:,}", file.sha256[:16] + "…", file.path or "") for name, file in sorted(summary.artifacts.items())]
    table(("artifact", "bytes", "sha256", ""), rows)
    samples, transcript = summary.samples, summary.transcript
    click.echo(
        f"\n{samples.count:,} samples ({samples.duration_s:.1f} s) played, recorded and compared: "
        f"{'all equal' if samples.equal else 'NOT EQUAL'}. "
        f"{transcript.utterances} sentences: {'all equal' if transcript.equal else 'NOT EQUAL'}."
    )
