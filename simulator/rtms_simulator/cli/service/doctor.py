"""`rtmskit doctor`: is this endpoint fit for Zoom? Every check says what it found and what to do.

Nothing it sends can start a recording: challenges, and one account notice with signatures that must be refused.

Exit codes: 0 all well (warnings included), 1 a check failed, 2 wrong usage, 3 nobody answers there.
"""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from rtms_simulator.cli.fakes.running import of_up
from rtms_simulator.cli.output import as_json as as_json_option
from rtms_simulator.cli.output import from_text, say_json
from rtms_simulator.cli.pages import PAGES, RUNBOOK
from rtms_simulator.cli.pasted import checked_secret
from rtms_simulator.cli.play.outcome import BadInput, Nobody, run
from rtms_simulator.cli.receiver import is_local, is_url
from rtms_simulator.cli.service import worker_checks
from rtms_simulator.cli.service.findings import Finding, Reply
from rtms_simulator.zoom.webhooks.events import body, concurrency_near_limit, judge_validation, sign, url_validation

if TYPE_CHECKING:
    import httpx

    from rtms_simulator.cli.records.worker import AskedWorker
    from rtms_simulator.clock import Clock

ZOOM_PATH = "/zoom-webhook"
ACK_LIMIT_S = 3.0
"""Zoom's time limit for an answer (webhooks doc)."""
SKEW_LIMIT_S = 5.0
LAST_RETRY_S = 85 * 60
"""Zoom's last retry. Whether it carries a new timestamp is not documented [inf: it may not]."""
CERTIFICATE_DAYS = 14
ANSWERS_S = 10.0
WORKER_ANSWERS_S = 60.0
"""A check-up waits for Recall and for each queue that does not take its task."""
SAY_NO = "answer 401: Zoom repeats a request that is not answered, and whoever looks at the log sees why."
OPENING_TRIES = 8
OPENING_PAUSE_S = 2.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """What `pulumi stack output` says of a deployment. `code`: the hash of its code; `worker`: the worker's URL; `token`: opens it."""

    code: str = ""
    worker: str = ""
    token: str = ""


class ReceiverUnderCheck:
    """The endpoint under examination."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock, url: str, secret_token: str, deployed: Deployment | None = None) -> None:
        self._client = client
        self.deployed = deployed or Deployment()
        self._clock = clock
        self._asked = 0
        self.url = url
        self.secret_token = secret_token

    def token(self) -> str:
        """A challenge that was not sent before."""
        self._asked += 1
        return f"doctor{self.now_ms()}n{self._asked}"

    def now_ms(self) -> int:
        return self._clock.now_ms()

    async def send(self, raw: bytes, *, secret: str | None, age_s: float = 0) -> Reply:
        """POST a body, signed with `secret` (None: unsigned) as of `age_s` seconds ago."""
        headers = {"content-type": "application/json; charset=utf-8", "user-agent": "rtmskit-doctor"}
        if secret is not None:
            timestamp = str(int(self._clock.now() - age_s))
            headers |= {"x-zm-request-timestamp": timestamp, "x-zm-signature": sign(secret, timestamp, raw)}
        return await self._timed("POST", self.url, headers, raw)

    async def get(self, path: str) -> Reply:
        return await self._timed("GET", self.url.removesuffix(ZOOM_PATH) + path, {}, b"")

    async def ask_worker(self, path: str, token: str) -> Reply:
        return await self._of_worker("GET", path, token)

    async def post_to_worker(self, path: str, token: str) -> Reply:
        return await self._of_worker("POST", path, token)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def _of_worker(self, method: str, path: str, token: str) -> Reply:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return await self._timed(method, self.deployed.worker.rstrip("/") + path, headers, b"", timeout_s=WORKER_ANSWERS_S)

    async def challenge(self, *, signed: bool = True) -> tuple[str, Reply]:
        """A proper challenge: (plain token, reply)."""
        token = self.token()
        return token, await self.send(body(url_validation(token, self.now_ms())), secret=self.secret_token if signed else None)

    async def _timed(self, method: str, url: str, headers: dict[str, str], raw: bytes, *, timeout_s: float = ANSWERS_S) -> Reply:
        sent = self._clock.now()
        async with self._client.stream(method, url, headers=headers, content=raw, timeout=timeout_s) as response:
            content = await response.aread()
            stream = response.extensions.get("network_stream")
            tls = stream.get_extra_info("ssl_object") if stream is not None else None
        received = self._clock.now()
        return Reply(response.status_code, content, response.headers, seconds=received - sent, sent=sent, received=received, tls=tls)


async def check_receiver(receiver: ReceiverUnderCheck, count: int) -> list[Finding]:
    """All checks, in order. Raises httpx.TransportError if nobody answers."""
    token, first = await _first_challenge(receiver)
    challenge = _challenge(receiver, token, first)
    findings = [_tls(receiver, first), challenge, *await _versions(receiver)]
    if receiver.deployed.worker:
        findings += await _worker(receiver)
    wrong = receiver.secret_token[::-1] + "x"
    findings += [
        await _answered("wrong signature", _forged(receiver, "wrong signature", wrong), SAY_NO),
        await _answered("no signature", _forged(receiver, "no signature", None), SAY_NO),
        await _answered("signing oracle", _oracle(receiver), SAY_NO),
        _skew(first),
    ]
    if challenge.status == "fail":
        why = "it is asked with a challenge, and no challenge was answered correctly"
        return [*findings, *(Finding(check, "skip", why) for check in ("late retry", "latency"))]
    late = await _answered("late retry", _late(receiver), "look at the endpoint's log.")
    return [*findings, late, await _answered("latency", _latency(receiver, count), "look at the endpoint's log.")]


async def _first_challenge(receiver: ReceiverUnderCheck) -> tuple[str, Reply]:
    """Unsigned first: that our Secret Token is not the endpoint's shows in the answer then, and no refusal sets off an alert there.

    Raises httpx.TransportError if nobody answers.
    """
    import httpx

    with contextlib.suppress(httpx.TransportError):  # a firewall may drop what is not signed
        token, first = await receiver.challenge(signed=False)
        if _has_another_secret(receiver, token, first):
            return token, first
    return await receiver.challenge()


async def _answered(check: str, work: Awaitable[Finding], do: str) -> Finding:
    """What the work finds, or that its request was not answered."""
    import httpx

    from rtms_simulator.errors import words_of

    try:
        return await work
    except httpx.TransportError as error:
        return Finding(check, "fail", f"was not answered: {words_of(error)}", do)


async def _versions(receiver: ReceiverUnderCheck) -> list[Finding]:
    """What runs there, and whether it is what was deployed."""
    import httpx

    deployed = receiver.deployed.code
    try:
        health = await receiver.get("/health")
    except httpx.TransportError:
        why = "GET /health was not answered: another receiver, or something in front of it"
        return [Finding(check, "skip", why) for check in ("version", *(["code"] if deployed else []))]
    return [_health(health), *([_code("code", health, deployed)] if deployed else [])]


def _has_another_secret(receiver: ReceiverUnderCheck, token: str, reply: Reply) -> bool:
    """Whether an unsigned challenge was answered as Zoom wants it, and with another Secret Token than ours."""
    answer = judge_validation(receiver.secret_token, token, reply.status, reply.content)
    return not answer.ok and answer.found.get("plainToken") == token and isinstance(answer.found.get("encryptedToken"), str)


def _tls(receiver: ReceiverUnderCheck, reply: Reply) -> Finding:
    if receiver.url.startswith("http://"):
        return Finding("tls", "skip", "plain http on this machine; Zoom needs https with a public certificate")
    if reply.tls is None:
        return Finding("tls", "warn", "the connection does not say how it is encrypted")
    import ssl

    version = reply.tls.version()
    ends = ssl.cert_time_to_seconds(reply.tls.getpeercert()["notAfter"])
    days = (ends - reply.received) / 86400
    summary = f"{version}, certificate verified, valid for {days:.0f} days"
    if version not in ("TLSv1.2", "TLSv1.3"):
        return Finding("tls", "fail", summary, "offer TLS 1.2 or newer: Zoom refuses less.")
    if days < CERTIFICATE_DAYS:
        return Finding("tls", "warn", summary, "renew the certificate.")
    return Finding("tls", "ok", summary)


def _challenge(receiver: ReceiverUnderCheck, token: str, reply: Reply) -> Finding:
    answer = judge_validation(receiver.secret_token, token, reply.status, reply.content)
    if answer.ok:
        return Finding("challenge", "ok", "answered correctly")
    if reply.status in (401, 403):
        do = "compare the Secret Token: Zoom shows it on the app's page Access. 403 from Google means that allUsers may not call it."
    elif reply.status == 404:
        do = f"check the path: rtmskit listens on {ZOOM_PATH}."
    elif answer.found:
        do = "the endpoint has another secret than the one given here: set the app's Secret Token there, or give its own here."
    else:
        do = "look at the endpoint's log; Zoom disables a subscription after six failures in a row."
    return Finding("challenge", "fail", answer.problem, do)


def _health(reply: Reply) -> Finding:
    try:
        health = from_text(reply.content)
        version, status = health["version"], health["status"]
    except (ValueError, KeyError, TypeError):
        return Finding("version", "skip", f"no /health as rtmskit has it (status {reply.status}): another receiver")
    if reply.status != 200 or status != "ok":
        return Finding("version", "fail", f"version {version}, status {status!r} ({reply.status})", "look at the endpoint's log.")
    return Finding("version", "ok", f"rtmskit {version}, healthy")


def _code(check: str, reply: Reply, deployed: str) -> Finding:
    """Whether what answers is what was deployed. After a failed build the former code runs on, and nothing else says so."""
    try:
        code = from_text(reply.content)["code"]
    except (ValueError, KeyError, TypeError):
        return Finding(check, "skip", f"/health names no code (status {reply.status})")
    if code == deployed:
        return Finding(check, "ok", f"runs what was deployed ({deployed[:12]})")
    runs = str(code)[:12] or "code without a hash"
    problem = f"runs {runs}, deployed was {deployed[:12]}: its last build failed, or another checkout was deployed"
    return Finding(check, "fail", problem, 'pulumi config set rtmskit:redeploy "$(date +%s)"; pulumi up: builds both functions again.')


async def _worker(receiver: ReceiverUnderCheck) -> list[Finding]:
    import httpx

    from rtms_simulator.errors import words_of

    deployed = receiver.deployed.code
    try:
        reply = await receiver.ask_worker("/health", receiver.deployed.token)
    except httpx.TransportError as error:
        problem = f"{receiver.deployed.worker} does not answer: {words_of(error)}"
        return [Finding("worker", "fail", problem, "check the address: pulumi stack output workerUrl.")]
    if reply.status in (401, 403, 404):
        do = f"name yourself in workerCallers ({PAGES}/deploy.md) and pass a fresh --token; without callers only Google's queues get in."
        return [Finding("worker", "warn", f"may not be asked from here ({reply.status})", do)]
    if reply.status != 200:
        return [Finding("worker", "fail", f"/health was answered with {reply.status}", "look at the worker's log.")]
    code = [_code("worker code", reply, deployed)] if deployed else []
    false_token = worker_checks.forged(receiver.deployed.worker, receiver.now_ms() // 1000)
    own = receiver.deployed.token
    checks = worker_checks.check(receiver.ask_worker, receiver.post_to_worker, own, false_token, _worker_clock, receiver.sleep)
    try:
        return [Finding("worker", "ok", "answers"), *code, *await checks]
    except httpx.TransportError as error:
        problem = f"has a health, and {error.request.url.path} was not answered: {words_of(error)}"
        return [Finding("worker", "fail", problem, f"{RUNBOOK}#store-away says what to look at, and so does the worker's log."), *code]


def _worker_clock(reply: Reply) -> Finding:
    return replace(_skew(reply), check="worker clock")


async def _forged(receiver: ReceiverUnderCheck, check: str, secret: str | None) -> Finding:
    """Whether an event that Zoom never sent is refused."""
    notice = body(concurrency_near_limit(2000, 1700, receiver.now_ms()))
    what = "a request without a signature" if secret is None else "a request with a wrong signature"
    return _refused(check, await receiver.send(notice, secret=secret), what)


def _refused(check: str, reply: Reply, what: str) -> Finding:
    if reply.status == 401:
        return Finding(check, "ok", "refused with 401")
    if 400 <= reply.status < 500:
        return Finding(check, "warn", f"refused with {reply.status}", "401 says more clearly what is wrong.")
    if reply.status >= 500:
        return Finding(check, "fail", f"{what} was answered with {reply.status}", "answer 401: Zoom repeats a request that gets 5xx.")
    return Finding(
        check, "fail", f"{what} was accepted ({reply.status})", "verify x-zm-signature over the raw body: anybody can send this."
    )


async def _oracle(receiver: ReceiverUnderCheck) -> Finding:
    """A token that is itself a signed text: who gets it hashed can sign any event."""
    forged = f"v0:{int(receiver.now_ms() / 1000)}:{{}}"
    reply = await receiver.send(body(url_validation(forged, receiver.now_ms())), secret=None)
    if judge_validation(receiver.secret_token, forged, reply.status, reply.content).ok:
        do = "refuse challenges whose plainToken holds anything but letters, digits and +/=_- : the answer to this one signs any event."
        return Finding("signing oracle", "fail", "the endpoint signs whatever a stranger sends as plainToken", do)
    return Finding("signing oracle", "ok", f"a forged plainToken was not answered ({reply.status})")


async def _late(receiver: ReceiverUnderCheck) -> Finding:
    token = receiver.token()
    raw = body(url_validation(token, receiver.now_ms()))
    reply = await receiver.send(raw, secret=receiver.secret_token, age_s=LAST_RETRY_S)
    if judge_validation(receiver.secret_token, token, reply.status, reply.content).ok:
        return Finding("late retry", "ok", "a request stamped 85 minutes ago is accepted")
    do = "widen the timestamp window to 95 minutes (ZOOM_SIGNATURE_WINDOW_S): retries may keep their first timestamp [inferred]."
    return Finding("late retry", "warn", f"a request stamped 85 minutes ago is refused ({reply.status})", do)


def _skew(reply: Reply) -> Finding:
    try:
        there = parsedate_to_datetime(reply.headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return Finding("clock", "skip", "the answer has no Date header")
    # The header has whole seconds, cut off; it was written at some moment between sending and receiving.
    skew = max(0.0, there - reply.received, reply.sent - (there + 1))
    direction = "ahead of" if there > reply.received else "behind"
    if skew <= SKEW_LIMIT_S:
        return Finding("clock", "ok", f"agrees with this machine within {SKEW_LIMIT_S:.0f} s")
    do = "synchronise both clocks (NTP): signatures carry a time, and a start is only good for 60 seconds."
    return Finding("clock", "fail", f"{skew:.0f} s {direction} this machine's", do)


async def _latency(receiver: ReceiverUnderCheck, count: int) -> Finding:
    times = sorted([(await receiver.challenge())[1].seconds for _ in range(count)])
    p50, p99 = _rank(times, 0.50), _rank(times, 0.99)
    summary = f"{count} challenges: median {p50 * 1000:.0f} ms, 99th percentile {p99 * 1000:.0f} ms; Zoom waits {ACK_LIMIT_S * 1000:.0f} ms"
    if p99 >= ACK_LIMIT_S:
        return Finding("latency", "fail", summary, "answer before doing the work; keep an instance warm (webhookMinInstances).")
    if p99 >= ACK_LIMIT_S / 2:
        return Finding("latency", "warn", summary, "keep an instance warm (webhookMinInstances), or move it closer.")
    return Finding("latency", "ok", summary)


def _rank(times: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest value that at least this share does not exceed."""
    return times[max(0, math.ceil(share * len(times)) - 1)]


def endpoint(text: str) -> str:
    """The webhook's whole URL: a bare host gets rtmskit's path. Raises BadInput."""
    if not is_url(text):
        raise BadInput(f"{text!r} is not a URL", "write it with https://, as `pulumi stack output webhookUrl` shows it.")
    url = urlsplit(text)
    if url.scheme == "http" and not is_local(text):
        raise BadInput(f"{text!r} is not encrypted", "use https: Zoom accepts nothing else. Plain http is for this machine only.")
    return text.rstrip("/") + ZOOM_PATH if url.path in ("", "/") else text


def _deployed(code: str, worker: str, token: str) -> Deployment:
    """Raises BadInput."""
    if code and not re.fullmatch(r"[0-9a-f]{64}", code):
        raise BadInput(f"--code {code[:80]!r} is not a hash", "copy the 64 digits that `pulumi stack output codeHash` shows.")
    if worker:
        endpoint(worker)  # https, or this machine: the token must not travel in the clear
    return Deployment(code, worker, checked_secret("--token", token))


async def _examined(url: str, secret_token: str, count: int, ca: str | None, deployed: Deployment) -> list[Finding]:
    import ssl

    import httpx

    from rtms_simulator.clock import Clock
    from rtms_simulator.errors import words_of
    from rtms_simulator.serving.loopback import outgoing

    clock = Clock()
    try:
        verify = ssl.create_default_context(cafile=ca) if ca else ssl.create_default_context()
    except OSError as error:
        raise BadInput(
            f"--ca {ca} holds no certificate that can be read: {error}", "give a PEM file (-----BEGIN CERTIFICATE-----)."
        ) from None
    try:
        async with outgoing(url, verify=verify, follow_redirects=False) as client:
            return await check_receiver(ReceiverUnderCheck(client, clock, url, secret_token, deployed), count)
    except httpx.InvalidURL as error:
        raise BadInput(f"{url!r} is not a URL: {error}", "look at its host name.") from None
    except httpx.TransportError as error:
        detail = words_of(error)
        if "CERTIFICATE_VERIFY_FAILED" in detail:
            raise Nobody(
                f"{url} has a certificate that cannot be verified: {detail}",
                "serve the whole chain of a public CA; Zoom checks it too. For a CA of your own give --ca FILE.",
            ) from error
        raise Nobody(f"{url} does not answer: {detail}", "check the address, and that the endpoint runs.") from error


async def findings(url: str, secret_token: str, count: int, ca_file: str | None = None) -> list[Finding]:
    """What the doctor finds at an endpoint that has just been opened: it may take a while until a tunnel leads there."""
    from rtms_simulator.clock import Clock

    clock, problem = Clock(), ""
    for _ in range(OPENING_TRIES):
        try:
            return await _examined(url, secret_token, count, ca_file, Deployment())
        except Nobody as error:
            problem = error.message
        await clock.sleep(OPENING_PAUSE_S)
    return [Finding("reachable", "fail", problem, "look at the tunnel, and whether it leads to the webhook's port.")]


def show(findings: Sequence[Finding]) -> None:
    """One line for each, and what to do below it."""
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{finding.status:<4}  {finding.check:<{width}}  {finding.found}")
        if finding.do:
            click.echo(f"{'':<4}  {'':<{width}}  -> {finding.do}")


def _running_here(up_file: Path, secret_token: str) -> tuple[str, str, AskedWorker]:
    """(URL, Secret Token, worker) of the `up` or `serve` that runs here. Raises Nobody or BadInput."""
    from rtms_simulator.cli.records.worker import running_here
    from rtms_simulator.cli.service.variables import variables

    try:
        here = running_here(up_file, "")
    except Nobody as error:
        raise Nobody(
            error.message, "name the webhook's address (`rtmskit doctor URL`), or start `rtmskit up` or `rtmskit serve` here."
        ) from None
    if here.up is not None:
        return here.up.webhook_url, secret_token or here.up.zoom.secret_token, here
    assert here.serve is not None
    return here.serve.webhook_url, secret_token or variables(None).get("ZOOM_SECRET_TOKEN") or "", here


def _opened(worker: str, up_file: Path) -> str:
    """The token for that worker: that of the `up` or `serve` whose worker it is, or gcloud's. Raises BadInput."""
    from rtms_simulator.cli.records.worker import running_here, target

    with contextlib.suppress(Nobody, BadInput):
        here = running_here(up_file, "")
        if here.url.rstrip("/") == worker.rstrip("/"):
            return here.token
    return target(worker, "", up_file).token


@click.command()
@click.argument("url", required=False)
@click.option(
    "--secret-token", metavar="S", envvar="ZOOM_SECRET_TOKEN", show_envvar=True, help="The app's Secret Token, which the endpoint has too."
)
@click.option("--count", type=click.IntRange(1, 1000), default=20, show_default=True, help="Challenges to measure the latency with.")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="PEM file of a CA to trust instead of the public ones.")
@click.option("--code", metavar="HASH", default="", help="Hash of the deployed code, to compare: pulumi stack output codeHash.")
@click.option(
    "--worker", metavar="URL", default="", help="The worker's URL: who may call it, its store, queues, Recall key, code and clock."
)
@click.option(
    "--token",
    envvar="RTMSKIT_TOKEN",
    show_envvar=True,
    default="",
    help="Identity token that opens the worker. Default: that of `gcloud`, if it is installed.",
)
@of_up
@as_json_option
def doctor(
    url: str | None,
    secret_token: str | None,
    count: int,
    ca: str | None,
    code: str,
    worker: str,
    token: str,
    up_file: Path,
    *,
    as_json: bool,
) -> None:
    """Check an endpoint, deployed or local, and say what to fix.

    URL is the webhook's address; without a path, /zoom-webhook is added. Default: the `up` or `serve` that runs here, with its worker.
    Nothing that is sent can start a recording. To a worker goes one harmless task through each of its queues, and one question to Recall.
    """
    secret_token = checked_secret("--secret-token", secret_token)
    deployed = _deployed(code, worker, token)
    if url is None:
        url, secret_token, here = _running_here(up_file, secret_token)
        ca = ca or (here.serve.ca_file if here.serve else None)
        deployed = deployed if worker else Deployment(code, here.url, here.token)
    endpoint_url = endpoint(url)
    if deployed.worker and not deployed.token:
        deployed = replace(deployed, token=_opened(deployed.worker, up_file))
    if not secret_token:
        raise BadInput("--secret-token is missing", "pass the app's Secret Token, or set ZOOM_SECRET_TOKEN.")
    checks = run(_examined(endpoint_url, secret_token, count, ca, deployed))
    failed = any(finding.status == "fail" for finding in checks)
    if as_json:
        say_json({"url": endpoint_url, "ok": not failed, "checks": checks})
    else:
        show(checks)
    if failed:
        raise click.exceptions.Exit(1)
