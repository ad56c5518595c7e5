"""The space of configurations: what each key can be, a covering array over it, and Hypothesis strategies."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.infra.deployment import configured

# Choices that belong together are one axis, so that every combination of axes is a valid configuration.
AXES: Mapping[str, tuple[dict[str, Any], ...]] = {
    "place": (
        {},
        {"recallRegion": "eu-central-1", "region": "europe-west3"},
        {"recallRegion": "us-west-2", "region": "us-central1", "databaseLocation": "nam5"},
        {
            "recallRegion": "ap-northeast-1",
            "region": "asia-southeast1",
            "secondRegion": "asia-east1",
            "databaseLocation": "asia-northeast2",
        },
    ),
    "name": ({}, {"name": "rtms"}, {"name": "name-of-21-letters-xy"}),
    "protect": ({}, {"protect": False}),
    "rotation": ({}, {"zoomSecretTokenPrevious": "zoom-secret-token-former"}),
    "recall webhooks": ({}, {"recallWebhookSecrets": None}, {"recallWebhookSecrets": "whsec_Zmlyc3Qtc2VjcmV0,whsec_c2Vjb25kLXNlY3JldA=="}),
    "recording": ({}, {"recallRecordingConfig": '{"audio_mixed_raw": {}}', "recallEntityField": "own"}),
    "zoom": (
        {},
        {
            "zoomServerHosts": "*.zoom.us,rtms.example.com",
            "zoomSignatureWindowSeconds": 600,
            "zoomOnDeauthorized": "alert",
            "logIds": "hashed",
        },
    ),
    "machine": ({}, {"cpu": "2", "memory": "1Gi", "runtime": "python314"}, {"cpu": "4", "memory": "4Gi", "runtime": "python312"}),
    "instances": (
        {},
        {"webhookMinInstances": 0, "webhookMaxInstances": 1, "workerMaxInstances": 1, "workerConcurrency": 10, "webhookConcurrency": 1},
        {
            "webhookMinInstances": 5,
            "webhookMaxInstances": 1000,
            "workerMinInstances": 3,
            "workerMaxInstances": 1000,
            "workerConcurrency": 80,
        },
    ),
    "queue": (
        {},
        {
            "retrievalsPerSecond": 500,
            "retrievalPollSeconds": 60,
            "retrievalGiveUpSeconds": 3600,
            "recallTimeoutSeconds": 50,
            "recallBaseUrl": "https://recall-proxy.example.com/api/v1",
        },
    ),
    "backups": ({}, {"backupDays": 0, "recordsKeepDays": 30}),
    "archive": ({}, {"archive": True}, {"archive": True, "archiveColdAfterDays": 0, "archiveDeleteAfterDays": 90}),
    "access": (
        {},
        {"publicWebhook": False, "uptimeCheck": False},
        {"webhookIngress": "ALLOW_INTERNAL_AND_GCLB", "webhookUrl": "https://rtms.example.com"},
        {
            "publicWebhook": False,
            "uptimeCheck": False,
            "webhookIngress": "ALLOW_INTERNAL_AND_GCLB",
            "webhookUrl": "https://rtms.example.com",
        },
    ),
    "callers": ({}, {"workerCallers": ["user:ada@example.com", "group:all@example.com"]}),
    "alerts": ({}, {"alertEmails": ["a@example.com"], "uptimeCheck": False}, {"alertEmails": [f"{n}@example.com" for n in range(6)]}),
    "budget": ({}, {"monthlyBudget": 50, "billingAccount": "012345-6789AB-CDEF01"}),
    "github": ({}, {"githubRepository": "acme/rtms", "githubOwnerId": "7", "githubRef": "refs/tags/v1"}),
}

Choice = tuple[int, ...]
"""One index for each axis, in the order of `AXES`."""


def chosen(choice: Choice) -> dict[str, str]:
    """The raw configuration of a choice."""
    changes: dict[str, Any] = {}
    for options, index in zip(AXES.values(), choice, strict=True):
        changes |= options[index]
    if changes.get("publicWebhook") is False:
        changes["uptimeCheck"] = False  # the two exclude each other, whatever axis asked for the check
    return configured(**changes)


def pairs(choice: Choice) -> set[tuple[int, int, int, int]]:
    return {(a, choice[a], b, choice[b]) for a, b in itertools.combinations(range(len(choice)), 2)}


def covering() -> list[Choice]:
    """Choices such that every pair of options of every two axes occurs together: greedy, and the same each time."""
    sizes = [len(options) for options in AXES.values()]
    missing = {
        (a, i, b, j)
        for a, b in itertools.combinations(range(len(sizes)), 2)
        for i, j in itertools.product(range(sizes[a]), range(sizes[b]))
    }
    found: list[Choice] = []
    while missing:
        choice: dict[int, int] = {}
        a, i, b, j = min(missing)
        choice[a], choice[b] = i, j
        for axis in range(len(sizes)):
            if axis in choice:
                continue
            gains = [sum(_pair(axis, option, o, v) in missing for o, v in choice.items()) for option in range(sizes[axis])]
            choice[axis] = gains.index(max(gains))
        row = tuple(choice[axis] for axis in range(len(sizes)))
        found.append(row)
        missing -= pairs(row)
    return found


def _pair(a: int, i: int, b: int, j: int) -> tuple[int, int, int, int]:
    return (a, i, b, j) if a < b else (b, j, a, i)


choices: st.SearchStrategy[Choice] = st.tuples(*(st.integers(0, len(options) - 1) for options in AXES.values()))
