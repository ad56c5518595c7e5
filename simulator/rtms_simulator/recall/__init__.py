"""A fake Recall.ai: Meeting Direct Connect's API, recordings that were really made, webhooks, and scripted misbehaviour."""

from rtms_simulator.recall.fake import Recall
from rtms_simulator.recall.recorder.scripted import Story, scripted
from rtms_simulator.recall.recorder.values import VideoRequest
from rtms_simulator.recall.rtms.client import Timings
from rtms_simulator.recall.switches import Progression, RateLimits, RecallSwitches
from rtms_simulator.recall.webhooks.sender import WebhookEndpoint

__all__ = ["Progression", "RateLimits", "Recall", "RecallSwitches", "Story", "Timings", "VideoRequest", "WebhookEndpoint", "scripted"]
