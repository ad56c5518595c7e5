"""Values of settings, sound ones and those that people paste by mistake, by variable: one table for both sides of the kit.

`tests/unit/relay/test_setting_values.py` holds the function's checks to it. A test of the infrastructure can hold the Pulumi keys
to it and to `rtms_relay.settings.problem`: a value that `pulumi up` takes is a value that the function starts with.
"""

from __future__ import annotations

import base64
import json

from hypothesis import strategies as st

TOKEN = "Zk3vQ8_pL0sW2xYt"
WHSEC = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
DEEP = '{"a":' * 40 + "1" + "}" * 40

QUEUE = "projects/p/locations/l/queues/q"

TAKEN: dict[str, list[str]] = {
    "ZOOM_SECRET_TOKEN": [TOKEN, "a1b2c3d4", "p" * 256 + "q" * 256, "with/odd+chars=", "in<side>it"],
    "ZOOM_SECRET_TOKEN_PREVIOUS": [TOKEN + "x", "former-token"],
    "ZOOM_CLIENT_ID": ["AbCdEfGhIjKlMnOpQrStUv", "abcd", "a_b-", "z" * 64],
    "ZOOM_CLIENT_SECRET": [TOKEN, "a1b2c3d4"],
    "ZOOM_SIGNATURE_WINDOW_S": ["60", "5700", "86400"],
    "ZOOM_SERVER_HOSTS": [
        "*.zoom.us",
        "*.zoom.us,*.zoomgov.com",
        "*.zoom.us, rtms.example.com",
        "a.zoom.us,",
        "RTMS.zoom.us",
        "a-b.c1.zoom.us",
    ],
    "ZOOM_ON_DEAUTHORIZED": ["audit", "alert"],
    "LOG_IDS": ["plain", "hashed"],
    "RECALL_API_KEY": ["7b1e09c4d2f85a6630918ecb4d7fa25c8e1d3b90", "a1b2c3d4", "tokenish1"],
    "RECALL_REGION": ["us-east-1", "us-west-2", "eu-central-1", "ap-northeast-1"],
    "RECALL_BASE_URL": [
        "https://us-east-1.recall.ai/api/v1",
        "https://proxy.example/recall/",
        "https://proxy.example:8443",
        "http://127.0.0.1:9/api/v1",
    ],
    "RECALL_RECORDING_CONFIG": [
        "{}",
        '{"video_mixed_mp4":{}}',
        ' {"video_mixed_mp4": null, "audio_mixed_mp3": {}} ',
        '{"metadata":{"team":"a","other":null}}',
        '{"metadata":null}',
        '{"metadata":{"a":"%s"}}' % ("x" * 500),
        '{"video_mixed_mp4":{"metadata":{"a":"b"}}}',
        '{"realtime_endpoints":[{"type":"webhook","url":"https://x.example","events":["transcript.data"]}]}',
        '{"of_the_future":{"deep":[1,2.5,true]}}',
        '{"transcript":{"provider":{"recallai_streaming":{"key_terms":["\\ud83e\\udd14"]}}}}',
    ],
    "RECALL_WEBHOOK_SECRETS": [WHSEC, f"{WHSEC}, {WHSEC}", "whsec_YSB3ZWJob29rIHNlY3JldA==", "whsec_YSB3ZWJob29rIHNlY3JldA"],
    "RECALL_ENTITY_FIELD": ["meeting_uuid", "own"],
    "HANDOFF_QUEUES": [QUEUE, f"{QUEUE},{QUEUE}2", f"{QUEUE}, {QUEUE}2", "sqlite:///var/queue.sqlite", "sqlite:///a,b/c d.db"],
    "FACTS_QUEUE": [QUEUE, "sqlite:///q", "sqlite:////var/q.db", "sqlite:///a%20b.db"],
    "RETRIEVAL_QUEUE": [QUEUE, "sqlite:///q"],
    "RUN_SECRET": [TOKEN],
    "RECORDS_KEEP_DAYS": ["7", "400", "36500"],
}

_PASTED = [
    f'"{TOKEN}"',
    f"'{TOKEN}'",
    f"`{TOKEN}`",
    f"<{TOKEN}>",
    "<your secret token>",
    "your-secret-token",
    "${SECRET}",
    "changeme",
    f" {TOKEN}",
]
_PASTED += [
    "********",
    "xxxxxxxxxxxx",
    "••••••••••••",
    f"{TOKEN[:4]}********",
    f"{TOKEN[:6]}...{TOKEN[-4:]}",
    "short12",
    "ünïcödé-secret",
    f"{TOKEN}\n",
]
_PASTED += ["a" * 513, f"{TOKEN[:4]} {TOKEN}", "pass\x7fword", "half \ud83e"]

_NO_QUEUES = [
    "queue",
    "projects/p/locations/l/queues/",
    "projects/p/locations/l/queues/q_1",
    "projects/p/queues/q",
    f"{QUEUE}/tasks/t",
    "sqlite://",
    "sqlite:///",
    "sqlite:////",
    "sqlite:///dir/",
    "sqlite://q",
    "sqlite:///a%00b",
    "file:///q",
]

REFUSED: dict[str, list[str]] = {
    "ZOOM_SECRET_TOKEN": _PASTED,
    "ZOOM_SECRET_TOKEN_PREVIOUS": _PASTED,
    "ZOOM_CLIENT_ID": ['"AbCdEfGh"', "<client id>", "abc", "a" * 65, "with space", "a.b.c.d", "dots...", "é" * 8],
    "ZOOM_CLIENT_SECRET": _PASTED,
    "ZOOM_SIGNATURE_WINDOW_S": ["0", "-1", "86401", "NaN", "inf", "1e3", "5_700", "٦٠", "60s", " 60"],
    "ZOOM_SERVER_HOSTS": [
        "wss://a.zoom.us",
        "a.zoom.us:443",
        "*",
        "*.us",
        "*.zoom.*",
        "a..zoom.us",
        "zoom_us.example",
        ",",
        "-a.zoom.us",
        "a.zoom.us/x",
        "zoom",
        "*.10.0.0.1",
        "é.zoom.us",
        "a" * 64 + ".us",
    ],
    "ZOOM_ON_DEAUTHORIZED": ["Audit", "yes", "none"],
    "LOG_IDS": ["Plain", "true", "hash"],
    "RECALL_API_KEY": [*_PASTED, f"Token {TOKEN}", f"token {TOKEN}", f"Bearer {TOKEN}", f"Token:{TOKEN}", f'"Token {TOKEN}"'],
    "RECALL_REGION": ["eu", "us-east", "US-EAST-1", "us-east-1 "],
    "RECALL_BASE_URL": [
        "https://us-east-1.recall.ai/api/v1/meeting_direct_connect",
        "https://us-east-1.recall.ai/api/v1/meeting_direct_connect/",
        "https://proxy.example/api/v1/recording",
        "https://us-east-1.recall.ai/api/v1/bot/",
        "https://us-east-1.recall.ai",
        "https://us-east-1.recall.ai/api/v2",
        "http://us-east-1.recall.ai/api/v1",
        "us-east-1.recall.ai/api/v1",
        "https://user:pass@proxy.example/api",
        "https://proxy.example/api?x=1",
        "https://proxy.example/api#x",
        "https://proxy.example:99999",
        "https://[::1",
        "https://",
        "https://proxy.example/a b",
        "https://proxy.example\\.recall.ai/api/v1",
    ],
    "RECALL_RECORDING_CONFIG": [
        "x",
        "[]",
        "null",
        '"{}"',
        "'{}'",
        "{'a':1}",
        '{"recording_config":{"video_mixed_mp4":{}}}',
        '{"zoom_rtms":{},"recording_config":{}}',
        '{"meeting_url":"https://zoom.us/j/1","bot_name":"b"}',
        '{"metadata":{"n":1}}',
        '{"metadata":{"n":true}}',
        '{"metadata":{"n":{}}}',
        '{"metadata":[]}',
        '{"metadata":{"a":"%s"}}' % ("x" * 501),
        '{"metadata":{"rtmskit_handoff":"x"}}',
        '{"video_mixed_mp4":{"metadata":{"n":1}}}',
        '{"video_mixed_mp4":true}',
        '{"transcript":"on"}',
        '{"realtime_endpoints":{}}',
        '{"a":NaN}',
        '{"a":Infinity}',
        '{"a":1e400}',
        '{"a":123456789012345678901234567890}',
        '{"a":"\\ud83e"}',
        '{"a":"\ud83e"}',
        '{"a":1,}',
        '{"a":1}x',
        DEEP,
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
        json.dumps({"metadata": {f"k{n}": "x" * 500 for n in range(70)}}),
    ],
    "RECALL_WEBHOOK_SECRETS": [
        "whsec_MfKQ9r8GKYqrT",
        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        f'"{WHSEC}"',
        f"<{WHSEC}>",
        "whsec_",
        "whsec_********",
        "whsec_<your secret>",
        "whsec_" + base64.b64encode(b"7 bytes").decode(),
        "whsec_MfKQ9r8G-YqrTwjUPD8ILPZIo2La_aSw",
        "whsec_MfKQ 9r8GKYqrTwjUPD8ILPZI",
        f"{WHSEC},MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ",",
        "whsec_MfKQ9r8=GKYqrTwjUPD8ILPZIo2LaLaSw",
        "whsec_é" + "a" * 24,
    ],
    "RECALL_ENTITY_FIELD": ["theirs", "Own"],
    "HANDOFF_QUEUES": [*_NO_QUEUES, f"{QUEUE},{QUEUE}", f"{QUEUE},{QUEUE}2,{QUEUE}3", f"{QUEUE},sqlite:///q"],
    "FACTS_QUEUE": [*_NO_QUEUES, f"{QUEUE},{QUEUE}2"],
    "RETRIEVAL_QUEUE": _NO_QUEUES,
    "RUN_SECRET": _PASTED,
    "RECORDS_KEEP_DAYS": ["6", "36501", "4e2", "-7"],
}


def near(name: str) -> st.SearchStrategy[str]:
    """Texts near what `name` takes: those of the tables, and these with a character put in, left out, doubled or exchanged."""
    known = st.sampled_from(TAKEN[name] + REFUSED[name])

    def changed(text: str) -> st.SearchStrategy[str]:
        place = st.integers(0, min(len(text), 300))
        character = st.sampled_from(" \"'<>*.,:/{}[]=_-%@\\é0aA") | st.characters(codec="utf-8")
        inserted = st.builds(lambda at, c: text[:at] + c + text[at:], place, character)
        left_out = st.builds(lambda at: text[:at] + text[at + 1 :], place)
        return st.just(text) | inserted | left_out | st.just(text * 2)

    return known.flatmap(changed).filter(lambda text: text and "\x00" not in text)
