"""What a configuration costs a month, from list prices and a stated load. Pure arithmetic; nothing is looked up.

Prices are US dollars, for tier-1 regions. `Price.source` says how sure each is: "list" was read on the vendor's price page,
"estimate" is general knowledge and should be checked before anybody relies on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtms_infra.config import Config
from rtms_infra.regions import MULTI_REGIONS

SECONDS_PER_MONTH = 730 * 3600
SECRETS_ALWAYS = 3
"""zoomSecretToken, zoomClientSecret, recallApiKey; the other two come and go."""


@dataclass(frozen=True, slots=True)
class Price:
    dollars: float
    unit: str
    free: float
    """Units a month, per billing account or project, that cost nothing."""
    source: str


PRICES = {
    "request": Price(0.40 / 1e6, "request", 2e6, "list"),
    "cpu": Price(0.000024, "vCPU-second while requests are handled", 180e3, "list"),
    "memory": Price(0.0000025, "GiB-second while requests are handled", 360e3, "list"),
    "warm cpu": Price(0.0000025, "vCPU-second of a warm, idle instance", 0, "estimate"),
    "warm memory": Price(0.0000025, "GiB-second of a warm, idle instance", 0, "estimate"),
    "write": Price(0.09 / 1e5, "document write", 0, "list"),
    "read": Price(0.03 / 1e5, "document read", 0, "list"),
    "expiry": Price(0.01 / 1e5, "document expiry", 0, "list"),
    "task operation": Price(0.40 / 1e6, "task created or attempted", 1e6, "list"),
    "secret": Price(0.06, "secret version in force", 6, "list"),
    "schedule": Price(0.10, "job", 3, "estimate"),
    "archive write": Price(5.0 / 1e6, "object written", 0, "estimate"),
    "archive": Price(0.020, "GiB-month, Standard class", 0, "estimate"),
    "archive cold": Price(0.004, "GiB-month, Coldline class", 0, "estimate"),
    "log": Price(0.50, "GiB of logs", 50, "estimate"),
}


@dataclass(frozen=True, slots=True)
class Load:
    """What the functions have to do. The defaults are the reference's assumptions, measured where it could be."""

    meetings: int
    webhooks_per_meeting: float = 2
    webhook_s: float = 0.15
    worker_calls_per_meeting: float = 1
    worker_s: float = 0.8
    overlap: float = 1
    """Requests that one instance handles at once on average. 1 is the worst case; 5 is usual with many meetings at the full hour."""
    writes_per_meeting: float = 4
    reads_per_meeting: float = 2
    log_kb_per_meeting: float = 10
    recording_mb: float = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill. `types` are the resources that cause it."""

    name: str
    dollars: float
    types: tuple[str, ...]


def estimate(config: Config, load: Load, *, free_tier: bool = False) -> tuple[Line, ...]:
    """The bill of one month in steady state (an archive that deletes after a year holds a year's recordings)."""

    def cost(name: str, amount: float) -> float:
        price = PRICES[name]
        return max(0.0, amount - (price.free if free_tier else 0)) * price.dollars

    def running(cpu: str, memory: str, requests: float, seconds: float) -> float:
        # Cloud Run rounds each instance's busy time up to 100 ms.
        busy = requests * max(0.1, seconds) / load.overlap
        return cost("request", requests) + cost("cpu", busy * float(cpu)) + cost("memory", busy * _gib(memory))

    def warm(cpu: str, memory: str, instances: int) -> float:
        return instances * SECONDS_PER_MONTH * (PRICES["warm cpu"].dollars * float(cpu) + PRICES["warm memory"].dollars * _gib(memory))

    meetings = load.meetings
    sweeps = SECONDS_PER_MONTH / 60
    double = 2 if config.place.database_location in MULTI_REGIONS else 1
    state = cost("write", load.writes_per_meeting * meetings) + cost("read", load.reads_per_meeting * meetings) + cost("expiry", meetings)
    secrets = SECRETS_ALWAYS + (config.recall.webhook_secrets is not None) + (config.zoom.secret_token_previous is not None)
    lines = [
        Line(
            "webhook, busy",
            running(config.webhook.cpu, config.webhook.memory, load.webhooks_per_meeting * meetings, load.webhook_s),
            ("Function",),
        ),
        Line("webhook, kept warm", warm(config.webhook.cpu, config.webhook.memory, config.webhook.minimum), ("Function",)),
        Line(
            "worker, busy",
            running(config.worker.cpu, config.worker.memory, load.worker_calls_per_meeting * meetings, load.worker_s),
            ("Function",),
        ),
        Line("worker, kept warm", warm(config.worker.cpu, config.worker.memory, config.worker.minimum), ("Function",)),
        Line("sweep", running(config.worker.cpu, config.worker.memory, sweeps, 0.1) + cost("schedule", 1), ("Job",)),
        Line("records", state * double, ("Database", "Field")),
        Line("tasks", cost("task operation", 2.05 * load.worker_calls_per_meeting * meetings), ("Queue",)),
        Line("secrets", cost("secret", secrets), ("Secret", "SecretVersion")),
        Line("logs", cost("log", load.log_kb_per_meeting * meetings / 1024**2), ("Metric",)),
    ]
    if config.archive.on:
        lines.append(Line("archive", cost("archive write", meetings) + _kept(config, load), ("Bucket",)))
    return tuple(lines)


def _kept(config: Config, load: Load) -> float:
    """The archive's storage once it no longer grows, or after a year if it never deletes."""
    days = config.archive.delete_after_days or 365
    warm = min(config.archive.cold_after_days or days, days)
    gib_per_day = load.meetings / 30.4 * load.recording_mb / 1024
    return gib_per_day * (warm * PRICES["archive"].dollars + (days - warm) * PRICES["archive cold"].dollars)


def _gib(memory: str) -> float:
    """`512Mi` or `2Gi` -> GiB."""
    number, unit = float(memory[:-2]), memory[-2:]
    return number / 1024 if unit == "Mi" else number
