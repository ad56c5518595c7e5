"""Scripted misbehaviour of the fake Recall: `recall.create: 503 x2 then ok` (pure).

    TARGET: STEP [xN] [then STEP [xN]] ...

`xN` applies a step N times (`x*`: for ever); after the last step all is well again. Targets may hold `*` wildcards.

Requests, `recall.<operation>`: `create`, `retrieve` and `list` of Meeting Direct Connect, any OpenAPI operationId, `download`.

    ok                 as usual
    503                that status instead of the answer; nothing is done. `503 html` with a page as a load balancer gives it,
                       `429 retry-after 7` with that header, `503 stored` so that an Idempotency-Key replays it (402 and 507
                       always are), `503 after 201` when it was done, but the answer was lost on the way
    slow 5s            5 s of the clock later it is done and answered; meanwhile it is in flight
    hang               never answered
    reset              connection reset, nothing done
    cut after 201      done, then the connection closed without an answer
    expired            downloads: as if the link's 6 hours were over
    truncate 100       downloads: the connection closed after 100 bytes of the body

Webhooks, `webhook.<event>` such as `webhook.recording.done`:

    ok    lost    late 30s    dup    swap (held back until the next message to that endpoint has gone)
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from fnmatch import fnmatchcase

REQUEST_STEPS = ("ok", "<status> [html] [stored] [retry-after N] [after 201]", "slow Ns", "hang", "reset", "cut [after 201]")
DOWNLOAD_STEPS = ("expired", "truncate N")
WEBHOOK_STEPS = ("ok", "lost", "late Ns", "dup", "swap")
STATUSES = (400, 401, 402, 403, 404, 405, 409, 413, 415, 429, 500, 502, 503, 504, 507)
ALWAYS_STORED = frozenset({402, 507})
FOREVER = -1
_GRAMMAR = {
    "request": re.compile(
        r"(?P<ok>ok)|(?P<status>\d{3})(?P<html> html)?(?P<stored> stored)?(?: retry-after (?P<retry>\d+))?(?P<after> after 201)?"
        r"|slow (?P<slow>\d+(?:\.\d+)?)s|(?P<hang>hang)|(?P<reset>reset)|(?P<cut>cut)(?: after 201)?|(?P<expired>expired)"
        r"|truncate (?P<truncate>\d+)"
    ),
    "webhook": re.compile(r"(?P<ok>ok)|(?P<lost>lost)|late (?P<late>\d+(?:\.\d+)?)s|(?P<dup>dup)|(?P<swap>swap)"),
}


class FaultSyntaxError(ValueError):
    """A script that cannot be read; the text says where and what is allowed."""


@dataclass(frozen=True, slots=True)
class Step:
    """One misbehaviour. `kind` is ok, status, slow, hang, reset, cut, expired, truncate, lost, late, dup or swap."""

    kind: str
    times: int = 1
    status: int = 0
    html: bool = False
    stored: bool = False
    performed: bool = False
    retry_after: int | None = None
    seconds: float = 0.0
    size: int = 0


OK = Step("ok")


@dataclass(slots=True)
class Script:
    """A parsed script and how much of it is left."""

    text: str
    target: str
    steps: list[Step]
    fired: int = 0

    def matches(self, *targets: str) -> bool:
        return bool(self.steps) and any(fnmatchcase(target, self.target) for target in targets)

    def take(self) -> Step:
        step = self.steps[0]
        if step.times == 1:
            del self.steps[0]
        elif step.times != FOREVER:
            self.steps[0] = replace(step, times=step.times - 1)
        if step.kind != "ok":
            self.fired += 1
        return step


@dataclass(slots=True)
class FaultPlan:
    """All scripts in the order they were added; the first that matches and has steps left decides.

    `known`: the targets there are; a script that can never speak is refused. Empty: any.
    """

    known: Collection[str] = ()
    scripts: list[Script] = field(default_factory=list)

    def add(self, text: str) -> Script:
        """Parse and add. Raises FaultSyntaxError."""
        script = parse(text)
        if self.known and not script.matches(*self.known):
            close = get_close_matches(script.target, self.known, n=3) or sorted(self.known)
            raise FaultSyntaxError(f"{text!r}: there is no {script.target}; there is {', '.join(close)}")
        self.scripts.append(script)
        return script

    def take(self, *targets: str) -> Step:
        """The step for one occurrence of what `targets` all name, which is used up by this; OK when no script speaks of it."""
        script = next((script for script in self.scripts if script.matches(*targets)), None)
        return script.take() if script else OK

    def clear(self) -> None:
        self.scripts.clear()


def parse(text: str) -> Script:
    """Read one script. Raises FaultSyntaxError naming the step and what is allowed."""
    target, colon, rest = (part.strip() for part in text.partition(":"))
    if not colon or not re.fullmatch(r"(recall|webhook)\.[\w.*]+", target):
        raise FaultSyntaxError(f"{text!r}: a script is `recall.<operation>: step …` or `webhook.<event>: step …`")
    return Script(text, target, [_step(target, part.strip()) for part in re.split(r"\s+then\s+", rest)])


def _step(target: str, text: str) -> Step:
    what, times = text, 1
    if repeated := re.fullmatch(r"(.*\S)\s+x(\d+|\*)", text):
        what, times = repeated[1], FOREVER if repeated[2] == "*" else int(repeated[2])
    family = "webhook" if target.startswith("webhook.") else "request"
    found = _GRAMMAR[family].fullmatch(re.sub(r"\s+", " ", what))
    allowed = WEBHOOK_STEPS if family == "webhook" else REQUEST_STEPS + DOWNLOAD_STEPS
    if found is None or times == 0:
        raise FaultSyntaxError(f"step {text!r} of {target}: allowed are {', '.join(allowed)}, each with xN (N >= 1) or x*")
    if found.group(0).startswith(("expired", "truncate")) and not fnmatchcase("recall.download", target):
        raise FaultSyntaxError(f"step {text!r} of {target}: only recall.download can do that")
    parts = {name: value for name, value in found.groupdict().items() if value is not None}
    if "status" in parts:
        return _status_step(text, parts, times)
    kind = next(iter(parts))
    seconds = float(parts[kind]) if kind in ("slow", "late") else 0.0
    return Step(kind, times, seconds=seconds, size=int(parts["truncate"]) if kind == "truncate" else 0, performed=kind == "cut")


def _status_step(text: str, parts: dict[str, str], times: int) -> Step:
    status = int(parts["status"])
    if status not in STATUSES:
        raise FaultSyntaxError(f"step {text!r}: status is one of {', '.join(map(str, STATUSES))}")
    return Step(
        "status",
        times,
        status=status,
        html="html" in parts,
        stored="stored" in parts or status in ALWAYS_STORED,
        performed="after" in parts,
        retry_after=int(parts["retry"]) if "retry" in parts else None,
    )
