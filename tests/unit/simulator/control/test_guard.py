"""Who may call the control plane: a program of this machine that knows the token, and no page on the web."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from rtms_simulator.control import guard
from rtms_simulator.control.answers import RefusalAnswer, Strict, decode
from rtms_simulator.control.app import control_app
from rtms_simulator.control.operations import Call, ControlOperation
from rtms_simulator.errors import ControlRefusedError


class Echo(Strict, frozen=True, kw_only=True):
    text: str


async def echo(call: Call) -> Echo:
    return call.body if call.body is not None else Echo(text="")


OPERATIONS = [
    ControlOperation("GET", "/echo", "say nothing", echo, Echo),
    ControlOperation(method="POST", path="/echo", says="say it again", handler=echo, answer=Echo, body=Echo),
]


STRANGERS: list[tuple[dict[str, str], int, str]] = [
    ({"host": "evil.example"}, 403, "foreign_host"),
    ({"host": "evil.example:4711"}, 403, "foreign_host"),
    ({"host": "127.0.0.1:80"}, 403, "foreign_host"),
    ({"host": "127.0.0.1:4711@evil.example"}, 403, "foreign_host"),
    ({"host": "localhost.evil.example:4711"}, 403, "foreign_host"),
    ({"host": "127.0.0.1:x"}, 403, "foreign_host"),
    ({"host": ""}, 403, "foreign_host"),
    ({"origin": "https://evil.example"}, 403, "foreign_origin"),
    ({"origin": "null"}, 403, "foreign_origin"),
    ({"origin": "http://127.0.0.1:9999"}, 403, "foreign_origin"),
    ({"origin": "https://127.0.0.1:4711"}, 403, "foreign_origin"),
    ({"sec-fetch-site": "cross-site"}, 403, "foreign_origin"),
    ({"sec-fetch-site": "same-site"}, 403, "foreign_origin"),
    ({"authorization": ""}, 401, "token"),
    ({"authorization": "Bearer wrong"}, 401, "token"),
    ({"authorization": "Basic secret"}, 401, "token"),
    ({"authorization": "Bearer ä"}, 401, "token"),
]
"""Headers of who may not, and the status and code that they get."""


def client(**headers: str) -> httpx.AsyncClient:
    app = control_app(OPERATIONS, version="1", token="secret")
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:4711/_control", headers={"authorization": "Bearer secret", **headers}
    )


async def test_a_program_of_this_machine_with_the_token_may():
    async with client() as control:
        assert (await control.get("/echo")).status_code == 200
        assert (await control.post("/echo", json={"text": "ä"})).json() == {"text": "ä"}


@pytest.mark.parametrize(("headers", "status", "error"), STRANGERS)
async def test_a_page_on_the_web_and_a_program_without_the_token_get_nothing(headers: dict[str, str], status: int, error: str):
    async with client() as control:
        raw = {name.encode(): value.encode("utf-8") for name, value in headers.items()}
        for answer in (await control.get("/echo", headers=raw), await control.post("/echo", json={"text": "x"}, headers=raw)):
            problem = decode(answer.content, RefusalAnswer)
            assert (answer.status_code, problem.error) == (status, error)
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(("method", "path"), [("GET", "/nope"), ("POST", "/openapi.json"), ("PUT", "/echo"), ("GET", "/echo/")])
@pytest.mark.parametrize(("headers", "status", "error"), STRANGERS)
async def test_strangers_do_not_learn_what_is_not_there_either(method: str, path: str, headers: dict[str, str], status: int, error: str):
    async with client() as control:
        raw = {name.encode(): value.encode("utf-8") for name, value in headers.items()}
        answer = await control.request(method, path, headers=raw)
        assert (answer.status_code, decode(answer.content, RefusalAnswer).error) == (status, error)
        assert "_control/" not in answer.text
        assert not {"allow", "location"} & set(answer.headers)


async def test_a_program_that_may_is_told_what_is_there():
    async with client() as control:
        nope, posted = await control.get("/nope"), await control.post("/openapi.json")
        assert (nope.status_code, "GET /_control/echo" in nope.text) == (404, True)
        assert (posted.status_code, posted.headers["allow"]) == (405, "GET, HEAD")


async def test_callers_of_another_api_on_the_port_learn_nothing_of_the_control_plane():
    """Zoom's REST API is on the port, too, and its callers have tokens of Zoom's."""
    app = control_app(
        OPERATIONS, version="1", token="secret", more=[Mount("/zoom", routes=[Route("/v2/users", _refused, methods=["GET"])])]
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:4711/zoom") as zoom:
        nope, posted = await zoom.get("/v2/nope"), await zoom.post("/v2/users")
        assert (nope.status_code, "_control" in nope.text) == (404, False)
        assert (posted.status_code, "_control" in posted.text) == (405, False)


async def _refused(_request: Request) -> Response:
    return Response(status_code=401)


@pytest.mark.parametrize("host", ["localhost:4711", "127.0.0.1:4711", "[::1]:4711", "LOCALHOST:4711"])
async def test_every_name_of_this_machine_will_do(host: str):
    async with client() as control:
        assert (await control.get("/echo", headers={"host": host, "origin": f"http://{host.lower()}"})).status_code == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", ""]
)
async def test_what_any_page_could_post_without_a_preflight_is_refused(kind: str):
    async with client() as control:
        answer = await control.post("/echo", content=b'{"text": "x"}', headers={"content-type": kind})
        assert (answer.status_code, decode(answer.content, RefusalAnswer).error) == (415, "content_type")


async def test_a_body_that_cannot_be_read_says_what_was_wrong():
    async with client(**{"content-type": "application/json"}) as control:
        for content, status, says in (
            (b"{", 400, "cannot be read"),
            (b"[]", 400, "Expected `object`"),
            (b"{}", 400, "missing required field `text`"),
            (b'{"text": 1}', 400, "Expected `str`, got `int` - at `$.text`"),
            (b'{"text": "x", "more": 1}', 400, "unknown field `more`"),
            (b'{"text": "\xff"}', 400, "cannot be read"),
            (b'{"text": "' + b"x" * (1 << 20) + b'"}', 413, "larger than"),
        ):
            answer = await control.post("/echo", content=content)
            assert (answer.status_code, says in decode(answer.content, RefusalAnswer).reason) == (status, True), answer.text
        assert (await control.request("GET", "/echo", content=b'{"x": 1}')).status_code == 400


def test_the_tokens_are_compared_whole():
    good = {"host": "127.0.0.1:1"}
    guard.check(good, port=1, token="abc", given="abc")
    for given in ("", "ab", "abcd", "ABC"):
        with pytest.raises(ControlRefusedError):
            guard.check(good, port=1, token="abc", given=given)
    guard.check(good, port=1, token="", given="anything")
