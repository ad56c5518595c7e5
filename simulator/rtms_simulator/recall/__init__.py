"""A fake Recall.ai: Meeting Direct Connect's API, recordings that were really made, webhooks, and scripted misbehaviour."""

from rtms_simulator.recall.fake import Recall
from rtms_simulator.recall.recorder.scripted import Story, scripted
from rtms_simulator.recall.recorder.values import VideoWanted
from rtms_simulator.recall.rtms.client import Timings
from rtms_simulator.recall.switches import Limits, Progression, RecallSwitches
from rtms_simulator.recall.webhooks.sender import WebhookEndpoint

__all__ = ["Limits", "Progression", "Recall", "RecallSwitches", "Story", "Timings", "VideoWanted", "WebhookEndpoint", "scripted"]
