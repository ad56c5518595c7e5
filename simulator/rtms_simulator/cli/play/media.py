"""`rtmskit media`: a person's own recordings and transcripts, before they are played."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import say_json
from rtms_simulator.cli.play.outcome import BadInput

if TYPE_CHECKING:
    from rtms_simulator.zoom.media.check import FileReport


@click.group()
def media() -> None:
    """Look at your own recordings and transcripts before they are played."""


@media.command("check")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option("--strict", is_flag=True, help="Refuse a file if anything in it is lost or must be repaired.")
@as_json_option
def check_(files: Sequence[Path], *, strict: bool, as_json: bool) -> None:
    """Say what `meeting play` would play of each FILE: tracks, changes, speakers, captions, and everything unusual with its place.

    A recording is .mp4, .m4a, .wav or .mp3 and is read to its end; a transcript is .vtt, .srt or .txt. Exit code 0 means that every file
    can be played.
    """
    from rtms_simulator.errors import MediaFileError
    from rtms_simulator.zoom.media.check import check

    rows: list[dict[str, Any]] = []
    refused: list[MediaFileError] = []
    for file in files:
        try:
            report = check(file, strict=strict)
        except MediaFileError as error:
            refused.append(error)
            rows.append({"path": str(file), "error": str(error), "do": error.do})
            continue
        rows.append(_plain(report))
        if not as_json:
            click.echo("\n".join(report.lines()))
    if as_json:
        say_json({"files": rows})
    if refused:
        raise BadInput("\n       ".join(str(error) for error in refused), " ".join(dict.fromkeys(error.do for error in refused)))


def say_what_plays(recording: Path | None, transcript: Path | None, known: Sequence[str], *, strict: bool) -> None:
    """The same report on stderr, before a meeting. Raises BadInput for a file that cannot be played."""
    from rtms_simulator.errors import MediaFileError
    from rtms_simulator.zoom.media.check import check_recording, check_transcript

    try:
        if recording is not None:
            click.echo("\n".join(check_recording(recording, strict=strict).lines()), err=True)
        if transcript is not None:
            click.echo("\n".join(check_transcript(transcript, known, strict=strict).lines()), err=True)
    except MediaFileError as error:
        raise BadInput(str(error), error.do) from None


def _plain(report: FileReport) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(report)
