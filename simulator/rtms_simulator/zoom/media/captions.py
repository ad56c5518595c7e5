"""Transcript packets: one per utterance, when it is over, in the language Zoom would have recognised by then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rtms_simulator.scenario import Utterance
from rtms_simulator.scenario.languages import ENGLISH
from rtms_simulator.zoom.media.packet import MediaPacket, MediaSwitches
from rtms_simulator.zoom.rtms.enums import MediaType

_ATTRIBUTE_NEW = 1


def transcript(
    utterances: tuple[Utterance, ...], params: Mapping[str, Any], switches: MediaSwitches, start_ms: int
) -> Iterator[MediaPacket]:
    """Utterances that end at `start_ms` or later, by the moment they end."""
    labels = _recognised(utterances, params, switches)
    for utterance, language in sorted(zip(utterances, labels, strict=True), key=lambda pair: (pair[0].end_ms, pair[0].who.user_id)):
        if utterance.text and utterance.end_ms >= start_ms:
            extra: dict[str, Any] = {
                "start_time": utterance.start_ms,
                "end_time": utterance.end_ms,
                "language": language,
                "attribute": _ATTRIBUTE_NEW,
            }
            if utterance.who.channel_id is not None:
                extra["channel_id"] = utterance.who.channel_id
            yield MediaPacket(
                utterance.end_ms,
                MediaType.TRANSCRIPT,
                user_id=utterance.who.user_id,
                user_name=utterance.who.name,
                data=utterance.text.encode(),
                duration_ms=utterance.end_ms - utterance.start_ms,
                extra=extra,
            )


def _recognised(utterances: tuple[Utterance, ...], params: Mapping[str, Any], switches: MediaSwitches) -> list[int]:
    """The language id each utterance is reported with: the asked-for one, and with enable_lid (the default) the heard one after a while."""
    language = params.get("src_language", params.get("language"))
    label = ENGLISH if language is None or language < 0 else language
    if not params.get("enable_lid", True):
        return [label] * len(utterances)
    labels: list[int] = []
    heard, heard_since = label, 0
    for utterance in utterances:
        if utterance.language != heard:
            heard, heard_since = utterance.language, utterance.start_ms
        if utterance.end_ms >= switches.first_language_s * 1000 and utterance.end_ms - heard_since >= switches.language_switch_s * 1000:
            label = heard
        labels.append(label)
    return labels
