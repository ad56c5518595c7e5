"""What an app may ask of each kind of media, and what it gets when it asks for nothing (Zoom "RTMS data types").

Pure. One `ParamRule` per parameter; `confirm` fills the defaults in and refuses with the documented status code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from rtms_simulator.errors import MediaParameterError
from rtms_simulator.scenario.languages import ENGLISH, LANGUAGES, NONE
from rtms_simulator.zoom.rtms.enums import (
    MEDIA_KEYS,
    SINGLE_MEDIA_TYPES,
    Channel,
    Codec,
    ContentType,
    DataOption,
    MediaType,
    Resolution,
    SampleRate,
    StatusCode,
)

ParamValue = int | bool
SEND_RATE_STEP_MS = 20
SEND_RATE_MAX_MS = 1000
FPS_MAX = 30
VIDEO_STILL_FPS_MAX = 5
# [?] The rule table says 1 for pictures of a shared screen, the comment on the enumeration says 5.
DESKSHARE_STILL_FPS_MAX = 1
STILL_CODECS = (Codec.JPG, Codec.PNG)


@dataclass(frozen=True, slots=True)
class ParamRule:
    """One parameter: its default, what it may be, and the status that refuses anything else."""

    default: ParamValue
    allowed: Callable[[ParamValue], bool]
    refusal: StatusCode
    aliases: tuple[str, ...] = ()


def _one_of(*values: int) -> Callable[[ParamValue], bool]:
    return lambda value: type(value) is int and value in values


def _fps(value: ParamValue) -> bool:
    return type(value) is int and 1 <= value <= FPS_MAX


def _send_rate(value: ParamValue) -> bool:
    """Above 1000 ms Zoom clamps instead of refusing."""
    return type(value) is int and value >= SEND_RATE_STEP_MS and (value > SEND_RATE_MAX_MS or value % SEND_RATE_STEP_MS == 0)


_LANGUAGES = tuple(LANGUAGES.values())

RULES: Mapping[MediaType, Mapping[str, ParamRule]] = {
    MediaType.AUDIO: {
        # Zoom's samples ask for RTP (1) and get raw audio all the same.
        "content_type": ParamRule(
            ContentType.RAW_AUDIO, _one_of(ContentType.RTP, ContentType.RAW_AUDIO), StatusCode.INVALID_MEDIA_AUDIO_CONTENT_TYPE
        ),
        "sample_rate": ParamRule(SampleRate.SR_16K, _one_of(*SampleRate), StatusCode.INVALID_MEDIA_AUDIO_SAMPLE_RATE),
        "channel": ParamRule(Channel.MONO, _one_of(*Channel), StatusCode.INVALID_MEDIA_AUDIO_CHANNEL),
        "codec": ParamRule(Codec.L16, _one_of(Codec.L16, Codec.G711, Codec.G722, Codec.OPUS), StatusCode.INVALID_MEDIA_AUDIO_CODEC),
        "data_opt": ParamRule(
            DataOption.AUDIO_MIXED_STREAM,
            _one_of(DataOption.AUDIO_MIXED_STREAM, DataOption.AUDIO_MULTI_STREAMS),
            StatusCode.INVALID_MEDIA_AUDIO_DATA_OPT,
        ),
        "send_rate": ParamRule(20, _send_rate, StatusCode.INVALID_MEDIA_AUDIO_SEND_RATE),
    },
    MediaType.VIDEO: {
        "content_type": ParamRule(
            ContentType.RAW_VIDEO, _one_of(ContentType.RTP, ContentType.RAW_VIDEO), StatusCode.INVALID_MEDIA_VIDEO_CONTENT_TYPE
        ),
        "codec": ParamRule(Codec.JPG, _one_of(Codec.JPG, Codec.PNG, Codec.H264), StatusCode.INVALID_MEDIA_VIDEO_CODEC),
        "resolution": ParamRule(Resolution.HD, _one_of(*Resolution), StatusCode.INVALID_MEDIA_VIDEO_RESOLUTION),
        "data_opt": ParamRule(
            DataOption.VIDEO_SINGLE_ACTIVE_STREAM,
            _one_of(DataOption.VIDEO_SINGLE_ACTIVE_STREAM, DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM),
            StatusCode.INVALID_MEDIA_VIDEO_DATA_OPT,
        ),
        "fps": ParamRule(VIDEO_STILL_FPS_MAX, _fps, StatusCode.INVALID_MEDIA_VIDEO_FPS),
    },
    MediaType.DESKSHARE: {
        "content_type": ParamRule(
            ContentType.RAW_VIDEO, _one_of(ContentType.RTP, ContentType.RAW_VIDEO), StatusCode.INVALID_MEDIA_DESKSHARE_CONTENT_TYPE
        ),
        "codec": ParamRule(Codec.JPG, _one_of(Codec.JPG, Codec.PNG, Codec.H264), StatusCode.INVALID_MEDIA_DESKSHARE_CODEC),
        "resolution": ParamRule(Resolution.FHD, _one_of(*Resolution), StatusCode.INVALID_MEDIA_DESKSHARE_RESOLUTION),
        "fps": ParamRule(DESKSHARE_STILL_FPS_MAX, _fps, StatusCode.INVALID_MEDIA_DESKSHARE_FPS),
    },
    MediaType.TRANSCRIPT: {
        "content_type": ParamRule(ContentType.TEXT, _one_of(ContentType.TEXT), StatusCode.INVALID_MEDIA_TRANSCRIPT_CONTENT_TYPE),
        "src_language": ParamRule(
            ENGLISH, _one_of(*_LANGUAGES), StatusCode.INVALID_MEDIA_TRANSCRIPT_SOURCE_LANGUAGE, aliases=("language",)
        ),
        "enable_lid": ParamRule(True, lambda value: type(value) is bool, StatusCode.INVALID_MEDIA_TRANSCRIPT_PARAMS),
    },
    MediaType.CHAT: {
        "content_type": ParamRule(ContentType.TEXT, _one_of(ContentType.TEXT), StatusCode.INVALID_MEDIA_CHAT_CONTENT_TYPE),
    },
}

_NOT_AN_OBJECT = {
    MediaType.AUDIO: StatusCode.INVALID_MEDIA_AUDIO_PARAMS,
    MediaType.VIDEO: StatusCode.INVALID_MEDIA_VIDEO_PARAMS,
    MediaType.DESKSHARE: StatusCode.INVALID_MEDIA_DESKSHARE_PARAMS,
    MediaType.TRANSCRIPT: StatusCode.INVALID_MEDIA_TRANSCRIPT_PARAMS,
    MediaType.CHAT: StatusCode.INVALID_MEDIA_CHAT_PARAMS,
}

_STILL_LIMIT = {MediaType.VIDEO: VIDEO_STILL_FPS_MAX, MediaType.DESKSHARE: DESKSHARE_STILL_FPS_MAX}


def confirm(kind: MediaType, params: object) -> dict[str, ParamValue]:
    """The parameters one single kind will be sent with. `params` is that kind's object from `media_params`, or None for all defaults.

    Raises MediaParameterError. Unknown keys are ignored, as Zoom's own clients send some.
    """
    if params is None:
        params = {}
    if not isinstance(params, Mapping):
        raise MediaParameterError(_NOT_AN_OBJECT[kind])
    confirmed: dict[str, ParamValue] = {}
    for name, rule in RULES[kind].items():
        default = rule.default if type(rule.default) is bool else int(rule.default)
        value = next((params[key] for key in (name, *rule.aliases) if key in params), default)
        if not rule.allowed(value):
            raise MediaParameterError(rule.refusal)
        confirmed[name] = value
    if kind is MediaType.AUDIO:
        _check_audio(confirmed)
    elif kind in _STILL_LIMIT:
        _check_pictures(kind, confirmed, params)
    elif kind is MediaType.TRANSCRIPT and not _one_of(*_LANGUAGES)(params.get("target_language", NONE)):
        raise MediaParameterError(StatusCode.INVALID_MEDIA_TRANSCRIPT_TARGET_LANGUAGE)
    return confirmed


def confirm_all(kinds: MediaType, media_params: object) -> dict[str, dict[str, ParamValue]]:
    """The answer's `media_params` for a socket that carries `kinds`. Raises MediaParameterError."""
    if media_params is None:
        media_params = {}
    if not isinstance(media_params, Mapping):
        raise MediaParameterError(StatusCode.INVALID_MEDIA_PARAMS)
    return {MEDIA_KEYS[kind]: confirm(kind, media_params.get(MEDIA_KEYS[kind])) for kind in SINGLE_MEDIA_TYPES if kind in kinds}


def wants_individual_video(media_params: object) -> bool:
    """Whether a request's `media_params` ask for one chosen participant's video. Anything unreadable does not."""
    video = media_params.get(MEDIA_KEYS[MediaType.VIDEO]) if isinstance(media_params, Mapping) else None
    return isinstance(video, Mapping) and video.get("data_opt") == DataOption.VIDEO_SINGLE_INDIVIDUAL_STREAM


def _check_audio(confirmed: dict[str, ParamValue]) -> None:
    confirmed["send_rate"] = min(confirmed["send_rate"], SEND_RATE_MAX_MS)
    # Stereo exists for OPUS only; known from Zoom's samples.
    if confirmed["channel"] == Channel.STEREO and confirmed["codec"] != Codec.OPUS:
        raise MediaParameterError(StatusCode.INVALID_MEDIA_AUDIO_CHANNEL)


def _check_pictures(kind: MediaType, confirmed: dict[str, ParamValue], params: Mapping[str, object]) -> None:
    limit = _STILL_LIMIT[kind]
    if confirmed["codec"] not in STILL_CODECS or confirmed["fps"] <= limit:
        return
    if "codec" in params:
        raise MediaParameterError(RULES[kind]["fps"].refusal)
    confirmed["fps"] = limit  # documented: too many frames and no codec named gives JPG at the limit
