"""What Recall's create, PATCH and create_transcript accept (docs/evidence/recall.md A2, A6, D), as tables (pure).

Fields of Create Bot that Meeting Direct Connect does not list are left out, so they get the unknown-field 400 (inferred from B3).
"""

from __future__ import annotations

from types import MappingProxyType

from rtms_simulator.recall.http.schemas.schema import (
    Anything,
    Choice,
    Flag,
    ListOf,
    MapOf,
    Need,
    NotBeside,
    Number,
    OneKey,
    Record,
    Text,
    Variant,
)
from rtms_simulator.recall.recorder.values import LAYOUTS, SHARE_LAYOUTS

METADATA = MapOf(Text(max_length=500, blank=True, nullable=True))
HTTP_URL = r"https?://[A-Za-z0-9._~\-]+(?::[0-9]{1,5})?(?:[/?#][!-~]*)?"
WS_URL = r"wss?://[A-Za-z0-9._~\-]+(?::[0-9]{1,5})?(?:[/?#][!-~]*)?"
RTMP_URL = r"rtmps?://[A-Za-z0-9._~\-]+(?::[0-9]{1,5})?(?:[/?#][!-~]*)?"

PARTICIPANT_EVENTS = tuple(
    f"participant_events.{action}"
    for action in (
        *("join", "leave", "update", "speech_on", "speech_off", "webcam_on", "webcam_off", "screenshare_on", "screenshare_off"),
        "chat_message",
    )
)
TRANSCRIPT_EVENTS = ("transcript.data", "transcript.partial_data", "transcript.provider_data")
MEDIA_EVENTS = ("audio_mixed_raw.data", "audio_separate_raw.data", "video_separate_png.data", "video_separate_h264.data")
# Which events a real-time endpoint of each type may ask for (docs/evidence/recall.md C5), and what its URL looks like.
REALTIME_EVENTS = MappingProxyType(
    {
        "webhook": PARTICIPANT_EVENTS + TRANSCRIPT_EVENTS,
        "websocket": PARTICIPANT_EVENTS + TRANSCRIPT_EVENTS + MEDIA_EVENTS,
        "rtmp": ("video_mixed_flv.data",),
    }
)
REALTIME_URLS = MappingProxyType({"webhook": HTTP_URL, "websocket": WS_URL, "rtmp": RTMP_URL})

STREAMING_PROVIDERS = (
    *("recallai_streaming", "meeting_captions", "assembly_ai_v3_streaming", "assembly_ai_async_chunked", "deepgram_streaming"),
    *("gladia_v2_streaming", "rev_streaming", "aws_transcribe_streaming", "speechmatics_streaming"),
)
ASYNC_PROVIDERS = ("recallai_async", "assembly_ai_async", "deepgram_async", "gladia_v2_async", "rev_async", "speechmatics_async")

_RECALLAI_STREAMING = Record(
    {
        "mode": Choice(("prioritize_accuracy", "prioritize_low_latency")),
        "language_code": Text(),
        "spelling": ListOf(Anything(), nullable=True),
        "key_terms": ListOf(Text(), nullable=True),
        "filter_profanity": Flag(),
    },
    needs=(Need("mode", "language_code", "en", when="prioritize_low_latency"),),
)
_OWN_SETTINGS = MappingProxyType({"recallai_streaming": _RECALLAI_STREAMING, "meeting_captions": Record({})})
_DIARIZATION = Record({"use_separate_streams_when_available": Flag()}, nullable=True)
ARTIFACT_CONFIGS = (
    *("video_mixed_mp4", "participant_events", "meeting_metadata", "audio_mixed_raw", "audio_mixed_mp3", "audio_separate_raw"),
    *("audio_separate_mp3", "video_separate_mp4", "video_separate_png", "video_separate_h264", "video_mixed_flv"),
)


def _realtime(kind: str) -> Record:
    return Record(
        {
            "type": Choice((kind,)),
            "url": Text(pattern=REALTIME_URLS[kind], refusal="Enter a valid URL."),
            "events": ListOf(Choice(REALTIME_EVENTS[kind]), least=1),
            "metadata": METADATA,
        },
        required=frozenset({"type", "url", "events"}),
    )


RECORDING_CONFIG = Record(
    {
        "transcript": Record(
            {
                "provider": OneKey({name: _OWN_SETTINGS.get(name, Anything()) for name in STREAMING_PROVIDERS}),
                "metadata": METADATA,
                "diarization": _DIARIZATION,
            },
            required=frozenset({"provider"}),
            nullable=True,
        ),
        "realtime_endpoints": ListOf(Variant("type", {kind: _realtime(kind) for kind in REALTIME_EVENTS})),
        "retention": Variant(
            "type",
            {
                "timed": Record({"type": Choice(("timed",)), "hours": Number(least=1)}, required=frozenset({"type"})),
                "forever": Record({"type": Choice(("forever",))}, required=frozenset({"type"})),
            },
            nullable=True,
        ),
        "video_mixed_layout": Choice(LAYOUTS),
        "video_mixed_participant_video_when_screenshare": Choice(SHARE_LAYOUTS),
        "start_recording_on": Choice(("call_join", "participant_join", "participant_speak", "manual")),
        "include_bot_in_recording": Record({"audio": Flag()}),
        "metadata": METADATA,
        **dict.fromkeys(ARTIFACT_CONFIGS, Record({"metadata": METADATA}, nullable=True)),
    },
    needs=(
        Need("video_separate_mp4", "video_mixed_layout", "gallery_view_v2"),
        Need("video_separate_png", "video_mixed_layout", "gallery_view_v2"),
    ),
    nullable=True,
)


# Recall's page on the Meet Media API: no captions, which come from the platform. The text is inferred.
NO_MEET_CAPTIONS = NotBeside(
    "google_meet_media_api",
    ("recording_config", "transcript", "provider", "meeting_captions"),
    "Meeting captions are not available with `google_meet_media_api`.",
)


def create_body(*, signature_shape: bool = True) -> Record:
    """The body of POST meeting_direct_connect. `signature_shape`: the switch `signature_shape_check`."""
    return Record(
        {
            "zoom_rtms": Record(
                {
                    "meeting_uuid": Text(),
                    "rtms_stream_id": Text(),
                    "server_urls": Text(),
                    "signature": Text(pattern="[0-9a-f]{64}", refusal="Enter a valid signature.") if signature_shape else Text(),
                },
                required=frozenset({"meeting_uuid", "rtms_stream_id", "server_urls", "signature"}),
                nullable=True,
            ),
            "google_meet_media_api": Record(
                {"space_name": Text(), "access_token": Text()}, required=frozenset({"space_name", "access_token"}), nullable=True
            ),
            "recording_config": RECORDING_CONFIG,
            "metadata": METADATA,
        },
        one_of=("zoom_rtms", "google_meet_media_api"),
        needs=(NO_MEET_CAPTIONS,),
    )


PATCH_BODY = Record({"metadata": METADATA})
CREATE_TRANSCRIPT_BODY = Record(
    {"provider": OneKey(dict.fromkeys(ASYNC_PROVIDERS, Anything())), "diarization": _DIARIZATION, "metadata": METADATA},
    required=frozenset({"provider"}),
)
