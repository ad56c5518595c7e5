"""The fake Recall as one object: one workspace in one region, in process and on a port, on one clock."""

from __future__ import annotations

import logging
import random
import shutil
import ssl as ssl_module
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rtms_simulator.clock import Clock
from rtms_simulator.faults import FaultBook
from rtms_simulator.faults.recall import FAMILIES, REQUEST, WEBHOOK
from rtms_simulator.packaging.version import __version__
from rtms_simulator.recall.http.api import Api, ApiIdentity
from rtms_simulator.recall.http.downloads import LinkSigner
from rtms_simulator.recall.http.exchange import ApiResponse
from rtms_simulator.recall.http.front.download_host import DownloadHost
from rtms_simulator.recall.http.front.proxy import ProxyRefusal, Target, parse_target
from rtms_simulator.recall.http.operations import ROOT, operations
from rtms_simulator.recall.http.resources import Resources
from rtms_simulator.recall.http.schemas.request_schemas import create_body
from rtms_simulator.recall.http.server import ApiServer
from rtms_simulator.recall.recorder.values import RecorderEvent, RecordingConfig, StreamRequest, VideoRequest
from rtms_simulator.recall.records.lifecycle import Lifecycle, RecorderFactory, RunsRecording
from rtms_simulator.recall.records.workspace import Workspace
from rtms_simulator.recall.rtms.states import Timings
from rtms_simulator.recall.switches import LocalUrls, RecallSwitches
from rtms_simulator.recall.webhooks.sender import EVENTS, SigningSecret, WebhookEndpoint, Webhooks
from rtms_simulator.recall.webhooks.signing import make_secret
from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.cuttable import Connections, CutError

_log = logging.getLogger(__name__)
REGIONS = ("us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1")
OPERATIONS: tuple[str, ...] = (*(name for operation in operations(create_body()) for name in operation.fault_names), "download")
"""The requests that a fault can name: `create`, `retrieve` and `list` of Meeting Direct Connect, operationIds, `download`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallOptions:
    """How a Recall is set up. Raises ValueError for an unknown region or a key that is not one ASCII word.

    `api_key`: the one key it takes. `zoom_client` (client id, client secret): if given, a wrong `zoom_rtms.signature` makes the MDC
    fail after its 201; otherwise Zoom's own refusal does. `allow_local_urls`: the first value of that switch: "none", "server_urls"
    (for a Zoom on this machine) or "all"; True means "all", False "none". `data_dir`: where recordings are written; a temporary
    directory if None. `video`, `timings`, `ssl`: what pictures the recorder asks of Zoom, how patient it is, which authorities it trusts.
    `faults`: a book that is shared with other fakes, or faults to begin with.
    `recorder_factory`: another recorder instead, to which those three mean nothing. `http_transport`: how webhooks are sent.
    `authority`: who certifies `*.recall.ai` to clients that use the port as their HTTPS proxy; one is made at `start` if None.
    """

    api_key: str
    region: str = "us-east-1"
    seed: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    data_dir: Path | None = None
    webhooks: Sequence[WebhookEndpoint] = ()
    zoom_client: tuple[str, str] | None = None
    allow_local_urls: LocalUrls | bool | None = None
    switches: RecallSwitches | None = None
    faults: FaultBook | Sequence[str] = ()
    workspace_secret: str | None = None
    recorder_factory: RecorderFactory | None = None
    video: VideoRequest | None = None
    timings: Timings | None = None
    ssl: ssl_module.SSLContext | None = None
    authority: CertificateAuthority | None = None
    http_transport: httpx.AsyncBaseTransport | None = None

    def __post_init__(self) -> None:
        if self.region not in REGIONS:
            raise ValueError(f"region {self.region!r} is none of {', '.join(REGIONS)}")
        if not self.api_key or not self.api_key.isascii() or len(self.api_key.split()) != 1:
            raise ValueError("api_key must be one ASCII word")

    @property
    def first_switches(self) -> RecallSwitches:
        """The switches as they are at the start and after a reset."""
        switches = self.switches or RecallSwitches()
        if self.allow_local_urls is None:
            return switches
        if isinstance(self.allow_local_urls, bool):
            return replace(switches, allow_local_urls="all" if self.allow_local_urls else "none")
        return replace(switches, allow_local_urls=self.allow_local_urls)

    @property
    def recorders(self) -> RecorderFactory:
        """What makes the recorder of each MDC."""
        if self.recorder_factory is not None:
            return self.recorder_factory
        return _joining(self.video or VideoRequest(), self.timings or Timings(), self.ssl)


class Recall:
    """A Recall.ai that joins, records and serves: `Recall(clock, api_key="...")`, with any field of `RecallOptions` as a keyword.

    Use `app` in process (or `transport()` with httpx) or `start()` the port; both are one state. All use is in one event loop.
    """

    def __init__(self, clock: Clock, options: RecallOptions | None = None, **keywords: Any) -> None:
        """Either `options` or keywords. Raises ValueError for a bad option, a bad secret or a fault that cannot be read."""
        if options is None:
            options = RecallOptions(**keywords)
        elif keywords:
            raise TypeError("give either options or keywords, not both")
        self.clock = clock
        self.options = options
        self.region = options.region
        self.api_key = options.api_key
        self.seed = options.seed
        self.switches = options.first_switches
        self.faults = options.faults if isinstance(options.faults, FaultBook) else FaultBook(FAMILIES)
        self.faults.known(REQUEST.prefix, lambda: OPERATIONS)
        self.faults.known(WEBHOOK.prefix, lambda: EVENTS)
        self.data_dir = options.data_dir or Path(tempfile.mkdtemp(prefix="rtmskit-recall-"))
        self._randomness = random.Random(f"recall ids {options.seed}")
        self.workspace = Workspace(self._randomness)
        randomness = random.Random(f"recall secrets {options.seed}")
        self._workspace_secret = SigningSecret(options.workspace_secret or make_secret(randomness.randbytes(24)))
        self.webhooks = self._make_webhooks()
        self.lifecycle = self._make_lifecycle()
        self._connections = Connections()
        self.api = self._make_api(LinkSigner(randomness.randbytes(20)))
        self._server = ApiServer(self.app, self._connections, host=options.host, port=options.port, authority=options.authority)
        for fault in () if isinstance(options.faults, FaultBook) else options.faults:
            self.faults.add(fault)

    def _make_webhooks(self) -> Webhooks:
        randomness = random.Random(f"recall messages {self.options.seed}")
        webhooks = Webhooks(
            self.clock,
            randomness,
            self.faults,
            self._workspace_secret,
            signed=lambda: self.switches.workspace_secret_exists,
            transport=self.options.http_transport,
        )
        for endpoint in self.options.webhooks:
            webhooks.add(endpoint)
        return webhooks

    def _make_lifecycle(self) -> Lifecycle:
        return Lifecycle(
            self.clock,
            self.workspace,
            self.webhooks,
            lambda: self.switches,
            recorder_factory=self.options.recorders,
            data_dir=self.data_dir,
            zoom_client=self.options.zoom_client,
        )

    def _make_api(self, signer: LinkSigner) -> Api:
        randomness = random.Random(f"recall links {self.options.seed}")
        downloads = DownloadHost(self.clock, self.workspace, lambda: self.switches, signer, randomness)
        return Api(
            self.clock,
            self.lifecycle.timers,
            Resources(self.workspace, self.lifecycle, downloads, lambda: self.switches, region=self.region),
            downloads,
            identity=ApiIdentity(self.api_key, self.region, __version__),
            faults=self.faults,
            switches=lambda: self.switches,
            connections=self._connections,
            origin=lambda: self.origin,
        )

    @property
    def origin(self) -> str:
        """`http://host:port`; also the address to give to clients as their HTTPS proxy."""
        return self._server.url

    @property
    def authority(self) -> CertificateAuthority:
        """Who certifies `*.recall.ai` inside the proxy's tunnels. Raises RuntimeError before `start`, unless one was given."""
        return self._server.authority

    @property
    def base_url(self) -> str:
        """The API's root, ending in `/api/v1`. The port is known after `start`."""
        return f"{self.origin}{ROOT}"

    @property
    def workspace_secret(self) -> str:
        """The workspace's one secret: it signs webhooks, real-time requests and WebSocket upgrades (`webhook-*` headers)."""
        return self._workspace_secret.current

    def rotate_workspace_secret(self, new: str) -> None:
        """Raises ValueError when it is not a `whsec_` secret."""
        self._workspace_secret.rotate(new, self.clock.now())

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI app: API, downloads and `/openapi.json`."""
        if scope["type"] != "http":
            return
        target = parse_target(scope["path"], self._server.own_host)
        if isinstance(target, ProxyRefusal):
            response = ApiResponse.json(target.status, {"error": target.error, "reason": target.reason})
            await Response(response.body, response.status, response.headers)(scope, receive, send)
            return
        scope = _at(scope, target)
        try:
            await self.api(scope, receive, send)
        except CutError:
            raise
        except Exception:
            _log.exception("%s %s failed: a defect of the fake", scope["method"], target.path)
            raise

    def transport(self) -> httpx.AsyncBaseTransport:
        """For httpx in process: what would cut the connection on the port raises httpx.RemoteProtocolError here."""
        return _InProcess(self)

    async def start(self) -> None:
        """Open the port. Raises rtms_simulator.serving.processes.PortTaken."""
        await self._server.start()

    async def aclose(self) -> None:
        """Close the port, stop recorders and webhooks; recordings stay on disk unless the directory was temporary."""
        await self._server.aclose()
        await self.lifecycle.aclose()
        await self.webhooks.aclose()
        if self.options.data_dir is None:
            shutil.rmtree(self.data_dir, ignore_errors=True)

    async def reset(self, *, seed: int | None = None) -> None:
        """As newly made: no objects, keys, faults or messages, switches as they were given. Endpoints and secrets stay."""
        await self.lifecycle.aclose()
        await self.webhooks.reset()
        for mdc in self.workspace.mdcs.values():
            shutil.rmtree(self.lifecycle.directory(mdc), ignore_errors=True)
        self.seed = self.seed if seed is None else seed
        self._randomness.seed(f"recall ids {self.seed}")
        self.workspace.restart()
        self.api.clear()
        self.faults.clear()
        self.switches = self.options.first_switches

    async def drained(self) -> None:
        """Return once no recorder is at work and every webhook was delivered or given up. Needs a clock that runs or is advanced."""
        while self.lifecycle.busy or self.webhooks.busy:
            await self.lifecycle.drained()
            await self.webhooks.drained()


def _at(scope: Scope, target: Target) -> Scope:
    """The scope with its target in origin form. An absolute form says scheme and host, whatever the Host header says (RFC 9112, 3.2.2)."""
    scope = {**scope, "path": target.path, "raw_path": target.path.encode("utf-8", "surrogatepass")}
    if target.origin is None:
        return scope
    scheme, _, host = target.origin.partition("://")
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    return {**scope, "scheme": scheme, "headers": [(b"host", host.encode("latin-1", "replace")), *headers]}


class _InProcess(httpx.AsyncBaseTransport):
    def __init__(self, recall: Recall) -> None:
        self._through = httpx.ASGITransport(recall.app)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._through.handle_async_request(request)
        except CutError as error:
            raise httpx.RemoteProtocolError(str(error), request=request) from error


def _joining(video: VideoRequest, timings: Timings, ssl: ssl_module.SSLContext | None) -> RecorderFactory:
    def make(
        clock: Clock, request: StreamRequest, config: RecordingConfig, directory: Path, on_event: Callable[[RecorderEvent], None]
    ) -> RunsRecording:
        # Late, because codecs are heavy and many users of the fake never record.
        if request.is_space:
            from rtms_simulator.recall.recorder.meet import MeetRecorder

            return MeetRecorder(clock, request, config, directory, on_event)
        from rtms_simulator.recall.recorder.recorder import Recorder

        return Recorder(clock, request, replace(config, video=video), directory, on_event, ssl=ssl, timings=timings)

    return make
