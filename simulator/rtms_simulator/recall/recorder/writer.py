"""A recording being written: holds back what the RTMS client learns until it is known when the recording began, then writes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from rtms_simulator.recall.recorder.open_recording import OpenRecording, moment_ms
from rtms_simulator.recall.recorder.values import ArtifactFile, RecorderEvent, RecordingConfig, StreamRequest
from rtms_simulator.recall.rtms.actions import Caption, Packet, ParticipantNotice

# Audio from before the join comes after it, and video from before does not (docs/evidence/zoom.md B2), so the first packet to come need
# not be the earliest: wait for audio before deciding when the recording began, but not for ever [inf].
HOLD_MS = 2000
HOLD_PACKETS = 256
HOLD_CAPTIONS_MS = 60_000  # captions come after the sound they belong to, so they say less about where it began


class RecordingWriter:
    """One recording, written into `directory`, which must exist. `unavailable` (kind of media to sub_code) may fill while it runs."""

    def __init__(
        self,
        config: RecordingConfig,
        request: StreamRequest,
        directory: Path,
        report: Callable[[RecorderEvent], None],
        unavailable: Mapping[str, str],
    ) -> None:
        self._config = config
        self._request = request
        self._directory = directory
        self._report = report
        self._unavailable = unavailable
        self._held: list[Packet | Caption | ParticipantNotice] = []
        self._open: OpenRecording | None = None

    @property
    def counts(self) -> Counter[str]:
        """What could not be written, by reason."""
        return self._open.counts if self._open else Counter()

    @property
    def has_content(self) -> bool:
        """Whether anything came that a recording consists of: sound, pictures or captions."""
        return self._open is not None and self._open.has_content

    @property
    def started_at(self) -> float | None:
        """When the first packet was sent, in seconds since the epoch; None if nothing came."""
        return self._open.origin_ms / 1000 if self._open and self._open.has_content else None

    @property
    def completed_at(self) -> float | None:
        """When the last packet ended, in seconds since the epoch."""
        return self._open.end_ms / 1000 if self._open and self._open.has_content else None

    def take(self, item: Packet | Caption | ParticipantNotice) -> None:
        """Write one thing that the RTMS client learnt."""
        if self._open is not None:
            self._open.write(item)
            return
        self._held.append(item)
        if not isinstance(item, ParticipantNotice) and self._start_is_certain(item):
            packets = [packet.timestamp_ms for packet in self._held if isinstance(packet, Packet)]
            self._begin(min(packets or self._caption_moments()))

    def abandon(self) -> None:
        """Let go of all files; the recording was given up."""
        if self._open is not None:
            self._open.finish()

    def stop(self) -> None:
        """No more will come: write, and report, what was held back."""
        self._opened().stop()

    def finish(self) -> dict[str, ArtifactFile]:
        """Complete the files. Reports nothing more if `stop` was called before."""
        return self._opened().finish()

    def _start_is_certain(self, newest: Packet | Caption) -> bool:
        """Whether nothing earlier than what is held will come, or would be waited for any longer."""
        packets = [item.timestamp_ms for item in self._held if isinstance(item, Packet)]
        moments = packets or self._caption_moments()
        if "audio" in self._unavailable or (isinstance(newest, Packet) and newest.kind == "audio"):
            return True
        patience = HOLD_MS if packets else HOLD_CAPTIONS_MS
        return len(moments) >= HOLD_PACKETS or max(moments) - min(moments) >= patience

    def _caption_moments(self) -> list[int]:
        return [item.start_ms for item in self._held if isinstance(item, Caption)]

    def _opened(self) -> OpenRecording:
        return self._open or self._begin(min((moment_ms(item) for item in self._held), default=0))

    def _begin(self, origin_ms: int) -> OpenRecording:
        self._open = OpenRecording(
            self._config,
            self._request,
            self._directory,
            report=self._report,
            unavailable=self._unavailable,
            origin_ms=origin_ms,
        )
        items, self._held = self._held, []
        for item in items:
            self._open.write(item)
        return self._open
