"""What a configuration costs a month, from list prices and a stated load. Pure arithmetic; nothing is looked up.

Prices are US dollars; Cloud Run's are those of tier-1 regions, and `TIER_2` times as much in tier-2 ones. `Price.source` says how sure
each is: "list" was read on the vendor's price page, "estimate" is general knowledge and should be checked before anybody relies on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rtms_infra.alerts import OnLine, policies
from rtms_infra.config import Capacity, Config
from rtms_infra.regions import MULTI_REGIONS, REGIONS

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
    "stored": Price(0.15, "GiB-month of records, and once more for recovery to a point in time", 1, "estimate"),
    "backup": Price(0.03, "GiB-month of backups", 0, "estimate"),
    "alert condition": Price(0.10, "condition, a month", 0, "estimate"),
    "alert series": Price(0.35 / 1e6, "time series that a condition reads", 0, "estimate"),
    "image": Price(0.10, "GiB-month of images", 0.5, "estimate"),
    "schedule": Price(0.10, "job", 3, "estimate"),
    "archive write": Price(5.0 / 1e6, "object written", 0, "estimate"),
    "archive": Price(0.020, "GiB-month, Standard class", 0, "estimate"),
    "archive cold": Price(0.004, "GiB-month, Coldline class", 0, "estimate"),
    "log": Price(0.50, "GiB of logs", 50, "estimate"),
}


TIER_2 = 1.4
"""What Cloud Run's time costs in a tier-2 region, compared with tier 1 (cloud.google.com/run/pricing)."""

IMAGES_GIB = 10 * 0.12
"""The five newest images of each function are kept."""

PROBES_PER_MONTH = 4 * 30.4
"""One task a day through each queue."""

SERIES_READ = 5
"""Time series that one condition reads each minute, about."""


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
    tasks_per_meeting: float = 5
    """A start at home and in the second region, an end, two looks for the recording."""
    short_s: float = 0.2
    """What the worker needs for a task that does not hand over."""
    writes_per_meeting: float = 4
    reads_per_meeting: float = 2
    log_kb_per_meeting: float = 10
    record_kb: float = 8
    """Both records of a meeting, indexes included."""
    recording_mb: float = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill. `types` are the resources that cause it."""

    name: str
    dollars: float
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Meter:
    """Amounts -> dollars for one configuration."""

    config: Config
    load: Load
    free_tier: bool

    def cost(self, name: str, amount: float) -> float:
        price = PRICES[name]
        return max(0.0, amount - (price.free if self.free_tier else 0)) * price.dollars

    @property
    def tier(self) -> float:
        return TIER_2 if REGIONS[self.config.place.region].tier == 2 else 1.0

    def running(self, capacity: Capacity, requests: float, seconds: float) -> float:
        # Cloud Run rounds each instance's busy time up to 100 ms.
        busy = requests * max(0.1, seconds) / self.load.overlap
        time = self.cost("cpu", busy * float(capacity.cpu)) + self.cost("memory", busy * _gib(capacity.memory))
        return self.cost("request", requests) + time * self.tier

    def warm(self, capacity: Capacity) -> float:
        hour = PRICES["warm cpu"].dollars * float(capacity.cpu) + PRICES["warm memory"].dollars * _gib(capacity.memory)
        return capacity.minimum * SECONDS_PER_MONTH * hour * self.tier


def estimate(config: Config, load: Load, *, free_tier: bool = False) -> tuple[Line, ...]:
    """The bill of one month in steady state (an archive that deletes after a year holds a year's recordings)."""
    meter = _Meter(config, load, free_tier)
    return (*_functions(meter), *_state(meter), *_around(meter))


def _functions(meter: _Meter) -> Iterator[Line]:
    config, load = meter.config, meter.load
    meetings = load.meetings
    yield Line("webhook, busy", meter.running(config.webhook, load.webhooks_per_meeting * meetings, load.webhook_s), ("Function",))
    yield Line("webhook, kept warm", meter.warm(config.webhook), ("Function",))
    yield Line("worker, busy", meter.running(config.worker, load.worker_calls_per_meeting * meetings, load.worker_s), ("Function",))
    short = (load.tasks_per_meeting - load.worker_calls_per_meeting) * meetings
    yield Line("worker, ends and looks", meter.running(config.worker, short, load.short_s), ("Function",))
    yield Line("worker, kept warm", meter.warm(config.worker), ("Function",))
    sweeps = SECONDS_PER_MONTH / 60
    yield Line("sweep", meter.running(config.worker, sweeps, 0.1) + meter.cost("schedule", 1), ("Job",))
    probes = meter.running(config.worker, PROBES_PER_MONTH, 0.1) + meter.cost("task operation", 2 * PROBES_PER_MONTH)
    yield Line("probes", probes + meter.cost("schedule", 1), ("Job", "Queue"))
    # The copy in the second region is one of the tasks: an operation when it is added, another when it is sent.
    yield Line("tasks, both regions", meter.cost("task operation", 2 * load.tasks_per_meeting * meetings), ("Queue",))


def _state(meter: _Meter) -> Iterator[Line]:
    config, load = meter.config, meter.load
    double = 2 if config.place.database_location in MULTI_REGIONS else 1
    work = (("write", load.writes_per_meeting), ("read", load.reads_per_meeting), ("expiry", 1.0))
    yield Line("records", double * sum(meter.cost(name, each * load.meetings) for name, each in work), ("Database", "Field"))
    stored = load.meetings / 30.4 * config.records_keep_days * load.record_kb / 1024**2
    yield Line("records, stored and recoverable", double * 2 * meter.cost("stored", stored), ("Database",))
    if config.backup_days:
        yield Line("records, backups", meter.cost("backup", stored * config.backup_days), ("BackupSchedule",))
    secrets = SECRETS_ALWAYS + (config.recall.webhook_secrets is not None) + (config.zoom.secret_token_previous is not None)
    yield Line("secrets", meter.cost("secret", secrets), ("Secret", "SecretVersion"))
    if config.archive.on:
        yield Line("archive", meter.cost("archive write", load.meetings) + _kept(config, load), ("Bucket",))


def _around(meter: _Meter) -> Iterator[Line]:
    load = meter.load
    yield Line("logs", meter.cost("log", load.log_kb_per_meeting * load.meetings / 1024**2), ("Metric",))
    # A condition on log lines reads no time series [estimate: it is charged like the others].
    every = policies(meter.config.place, meter.config.alerts)
    conditions = len(every) + meter.config.alerts.uptime_check
    reading = conditions - sum(isinstance(policy.condition, OnLine) for policy in every)
    alerts = meter.cost("alert condition", conditions) + meter.cost("alert series", reading * SERIES_READ * SECONDS_PER_MONTH / 60)
    yield Line("alerts", alerts, ("AlertPolicy",))
    yield Line("images", meter.cost("image", IMAGES_GIB), ("Repository",))


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
