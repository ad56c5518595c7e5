"""The signing-oracle attack of docs/threat-model.md, against the real webhook process: a challenge cannot be used to forge a start.

The answer to a URL validation is HMAC(secret, plainToken), with the secret that signs requests over `v0:timestamp:body`. Whoever may
choose plainToken could have any request signed. The quickstart's receiver falls to this; ours must not.
"""

import hashlib
import hmac
import json

import httpx
import pytest

from rtms_simulator.clock import Clock
from rtms_simulator.kit.functions import Function, Wiring
from rtms_simulator.serving.processes import Port

SECRET = "hooksecret"


@pytest.fixture(scope="module")
def forged() -> bytes:
    """The start that the attacker wants believed: the stream's signature would be sent to their server."""
    payload = {"meeting_uuid": "victim==", "rtms_stream_id": "1" * 32, "server_urls": "wss://localhost:1/attacker"}
    return json.dumps({"event": "meeting.rtms_started", "event_ts": Clock().now_ms(), "payload": payload}, separators=(",", ":")).encode()


def challenge(token: object) -> bytes:
    return json.dumps({"event": "endpoint.url_validation", "event_ts": Clock().now_ms(), "payload": {"plainToken": token}}).encode()


def sign(message: bytes) -> str:
    return hmac.new(SECRET.encode(), message, hashlib.sha256).hexdigest()


@pytest.fixture
async def function(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOOM_CONNECT_WINDOW_S", "2")
    wiring = Wiring(
        client_id="client",
        client_secret="client-secret",
        secret_token=SECRET,
        recall_base_url="http://127.0.0.1:1/api/v1",
        recall_api_key="recall-api-key",
        recall_webhook_secret="whsec_" + "A" * 32,
        tasks_endpoint="127.0.0.1:1",
        state_url=f"sqlite://{tmp_path}/state.sqlite",
    )
    ports = (Port("the webhook"), Port("the worker"))
    both = Function(wiring, ports[0], ports[1], Clock())
    await both.start()
    yield both
    await both.aclose()
    for port in ports:
        port.release()


async def test_a_challenge_is_no_oracle_for_a_forged_start(function, forged):
    timestamp = str(int(Clock().now()))
    message = f"v0:{timestamp}:".encode() + forged
    async with httpx.AsyncClient(base_url=function.webhook_url, trust_env=False, timeout=10) as attacker:

        async def post(body: bytes, **headers: str) -> httpx.Response:
            return await attacker.post("/zoom-webhook", content=body, headers={"content-type": "application/json", **headers})

        # The message itself as the token, whole, as a list, in pieces, and hidden in something longer: never signed.
        tokens = [
            message.decode(),
            [message.decode()],
            {"a": message.decode()},
            message.decode() + "x",
            "v0:" + timestamp + ":",
            "",
            "a" * 129,
        ]
        for token in tokens:
            answer = await post(challenge(token))
            assert answer.status_code in (400, 401), answer.text
            assert sign(message) not in answer.text
            assert "encryptedToken" not in answer.text

        # What the attacker can get signed is of the alphabet of real tokens, which holds no colon: it never begins with `v0:`.
        harmless = (await post(challenge("qgg8vlvZRS6UYooatFL8Aw"))).json()
        assert harmless["encryptedToken"] == sign(b"qgg8vlvZRS6UYooatFL8Aw")

        # With that signature, with none and with a wrong one the start is refused, and so is a challenge that is signed wrongly.
        for signature in (harmless["encryptedToken"], "0" * 64):
            refused = await post(forged, **{"x-zm-request-timestamp": timestamp, "x-zm-signature": f"v0={signature}"})
            assert refused.status_code == 401
        assert (await post(forged)).status_code == 401
        wrong = {"x-zm-request-timestamp": timestamp, "x-zm-signature": "v0=" + "0" * 64}
        assert (await post(challenge("qgg8vlvZRS6UYooatFL8Aw"), **wrong)).status_code == 401

        # The same start, rightly signed, is believed: it is tried until its window ends, since no queue takes it here.
        right = {"x-zm-request-timestamp": timestamp, "x-zm-signature": f"v0={sign(message)}"}
        answer = await post(forged, **right)
        assert (answer.status_code, answer.json()["error"]) == (500, "queue_unavailable")
