"""TLS in front of a plain server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from rtms_simulator.serving.authority import CertificateAuthority
from rtms_simulator.serving.processes import Port
from rtms_simulator.serving.tls_front import TlsFront


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends back what comes until a line `end`, twice."""
    said = await reader.readuntil(b"end\n")
    writer.write(said * 2)
    await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def front(folder: Path, *, answered: bool = True) -> AsyncGenerator[tuple[int, ssl.SSLContext]]:
    authority = CertificateAuthority.of_folder(folder)
    port, inner = Port("the front"), Port("the server")
    server = await asyncio.start_server(answers, inner.host, inner.number, limit=2**20) if answered else None
    served = TlsFront(port, inner, authority.context_for("localhost"))
    await served.start()
    try:
        yield port.number, ssl.create_default_context(cafile=str(authority.ca_file))
    finally:
        await served.aclose()
        if server is not None:
            server.close()
        for one in (port, inner):
            one.release()


async def asked(port: int, context: ssl.SSLContext | None, said: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost" if context else None)
    try:
        writer.write(said)
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


async def test_what_is_said_arrives_and_what_is_answered_comes_back(tmp_path):
    said = b"x" * 300_000 + b"end\n"
    async with front(tmp_path) as (port, context):
        assert await asyncio.gather(*(asked(port, context, said) for _ in range(3))) == [said * 2] * 3


async def test_who_does_not_trust_the_folder_says_nothing(tmp_path):
    async with front(tmp_path) as (port, _context):
        with pytest.raises(ssl.SSLCertVerificationError):
            await asked(port, ssl.create_default_context(), b"end\n")


async def test_plain_words_get_no_answer(tmp_path):
    async with front(tmp_path) as (port, _context):
        with contextlib.suppress(ConnectionError):
            assert await asked(port, None, b"GET / HTTP/1.1\r\n\r\nend\n") == b""


async def test_a_server_that_does_not_answer_ends_the_connection(tmp_path):
    async with front(tmp_path, answered=False) as (port, context):
        with contextlib.suppress(OSError):
            assert await asked(port, context, b"end\n") == b""
