"""Faults of running streams that wait for what they act on, and the faults of a meeting that changed nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rtms_simulator.faults import ArmedFault, Fault, Step, parse_fault
from rtms_simulator.faults.zoom import STREAM
from rtms_simulator.scenario import Action
from rtms_simulator.zoom.app import KINDS
from rtms_simulator.zoom.rtms.enums import MEDIA_KEYS, MediaType
from rtms_simulator.zoom.rtms.stream import LiveStream


def kinds_of(media: str) -> MediaType:
    """The kinds that a fault's or an action's `media` names."""
    return MediaType(sum(MEDIA_KEYS)) if media == "all" else KINDS[media]


def _media_flows(stream: LiveStream, step: Step) -> bool:
    carried = stream.protocol.media_connections().values()
    return stream.joined_at is not None and any(kinds & kinds_of(step.text("media")) for kinds in carried)


_PRESENT: Mapping[str, Callable[[LiveStream, Step], bool]] = {
    "drop-signaling": lambda stream, _step: stream.protocol.signaling is not None,
    "drop-media": _media_flows,
}
"""Whether a stream has the socket that a step breaks. A step that is not here acts on any stream."""


def can_act(step: Step, streams: Iterable[LiveStream]) -> bool:
    """Whether the step would change something now."""
    present = _PRESENT.get(step.word)
    return present is None or any(present(stream, step) for stream in streams)


@dataclass(frozen=True, slots=True)
class WaitingStep:
    """A step whose moment has come before there was a socket to break."""

    fault: Fault
    step: Step
    action: Action


def idle_faults(
    faults: Iterable[Fault],
    armed: Iterable[ArmedFault],
    waiting: Iterable[WaitingStep],
    streams: Iterable[LiveStream],
    unreached: Iterable[Action] = (),
) -> tuple[str, ...]:
    """Those of a meeting's faults that never acted, or changed nothing. `faults` are all, the script's too, `armed` those of webhooks and
    handshakes.

    `unreached`: the actions to which the meeting did not come before it was over.
    """
    streams, faults = tuple(streams), tuple(faults)
    texts = {str(fault) for fault in faults}
    idle = [str(one.fault) for one in armed if not one.used and str(one.fault) in texts]
    idle += [str(one.fault) for one in waiting]
    idle += [str(parse_fault(one.data["fault"])) for one in unreached if one.kind == "fault"]
    idle += [str(fault) for fault in faults if _did_nothing(fault, streams)]
    return tuple(dict.fromkeys(idle))


_ACTED: Mapping[str, Callable[[LiveStream], bool]] = {
    "keep-alive-silence": lambda stream: stream.protocol.kept_silent > 0,
    "slow-close": lambda stream: stream.closed_slowly,
}
"""Whether a step that lasts has shown on a stream."""


def _did_nothing(fault: Fault, streams: Iterable[LiveStream]) -> bool:
    lasting = [_ACTED[step.word] for step in fault.steps if step.word in _ACTED] if fault.family is STREAM else []
    return any(not any(acted(stream) for stream in streams) for acted in lasting)
