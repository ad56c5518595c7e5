"""The fake's port: plain HTTP, and an HTTPS proxy whose tunnels end at a TLS listener of the same app."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from rtms_simulator.clock import Clock
from rtms_simulator.recall.http.front.proxy import RECALL_DOMAIN
from rtms_simulator.recall.http.front.tunnel import Tunnels
from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.cuttable import Connections
from rtms_simulator.serving.http_server import HttpServer


class ApiServer:
    """Serves `app` on `host`:`port` (0: any free one) from `start` to `aclose`.

    `authority` certifies `*.recall.ai`; without one, `start` makes one in a temporary directory.
    """

    def __init__(self, app: ASGIApp, connections: Connections, *, host: str, port: int, authority: CertificateAuthority | None) -> None:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            # uvicorn treats a bound method as an ASGI 2 application.
            await app(scope, receive, send)

        self._app = serve
        self._host = host
        self._connections = connections
        self._authority = authority
        self._directory: Path | None = None
        self._tls: HttpServer | None = None
        self._tunnels = Tunnels(Clock(), self._tls_address)
        protocol = self._tunnels.protocol(connections.protocol())
        self._plain = HttpServer(serve, host=host, port=port, purpose="the fake Recall", protocol=protocol)

    @property
    def url(self) -> str:
        """`http://host:port`, which is the proxy's address, too."""
        return self._plain.url

    @property
    def own_host(self) -> str:
        """`host:port`, as a client names it that talks to the fake directly."""
        host, port = self._plain.address
        return f"{host}:{port}"

    @property
    def authority(self) -> CertificateAuthority:
        """Raises RuntimeError before `start`, unless one was given."""
        if self._authority is None:
            raise RuntimeError("start() first: the certificate authority is made with the server")
        return self._authority

    async def start(self) -> None:
        """Raises rtms_simulator.errors.PortTakenError."""
        await self._plain.start()
        if self._authority is None:
            self._directory = Path(tempfile.mkdtemp(prefix="rtmskit-recall-tls-"))
            self._authority = CertificateAuthority(self._directory)
        context = self._authority.context_for(f"*.{RECALL_DOMAIN}")
        self._tls = HttpServer(
            self._app, host=self._host, purpose="the fake Recall's TLS side", protocol=self._connections.protocol(), ssl=context
        )
        await self._tls.start()

    async def aclose(self) -> None:
        """Close the port and every tunnel. Repeatable."""
        await self._tunnels.aclose()
        await self._plain.aclose()
        if self._tls is not None:
            await self._tls.aclose()
            self._tls = None
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = self._authority = None

    def _tls_address(self) -> tuple[str, int]:
        if self._tls is None:
            raise ConnectionRefusedError("the TLS side is closed")
        return self._tls.address
