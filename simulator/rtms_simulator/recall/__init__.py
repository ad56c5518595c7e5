"""A fake Recall.ai. It serves the API of Meeting Direct Connect, joins the streams it is given, records them, and sends webhooks."""

from rtms_simulator.recall.fake import Recall, RecallOptions
from rtms_simulator.recall.recorder.scripted import Story, scripted
from rtms_simulator.recall.recorder.values import VideoRequest
from rtms_simulator.recall.rtms.states import Timings
from rtms_simulator.recall.switches import Progression, RateLimits, RecallSwitches
from rtms_simulator.recall.webhooks.sender import WebhookEndpoint

__all__ = [
    "Progression",
    "RateLimits",
    "Recall",
    "RecallOptions",
    "RecallSwitches",
    "Story",
    "Timings",
    "VideoRequest",
    "WebhookEndpoint",
    "scripted",
]
