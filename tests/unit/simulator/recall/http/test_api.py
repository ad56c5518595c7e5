"""What the fake answers over HTTP: who is let in, what is refused and how, lists and limits."""

import asyncio
import json
from dataclasses import replace

import httpx
import pytest
from tests.unit.simulator.recall.workbench import KEY, RTMS, bench, body

from rtms_simulator.recall import RateLimits, RecallSwitches

MDC = "/meeting_direct_connect"
MISSING = "11111111-1111-4111-8111-111111111111"


@pytest.mark.parametrize("path", [MDC, f"{MDC}/"])
async def test_a_create_answers_201_at_both_slash_forms_without_a_redirect(tmp_path, path):
    async with bench(tmp_path) as b:
        answer = await b.client.post(path, json=body(metadata={"a": "b", "c": None}))
        assert answer.status_code == 201
        made = answer.json()
        assert made["status"]["code"] == "connecting"
        assert made["recordings"] == []
        assert made["metadata"] == {"a": "b", "c": None}
        assert made["zoom_rtms"] == {key: RTMS[key] for key in ("meeting_uuid", "rtms_stream_id", "server_urls")}


async def test_a_finished_recording_has_five_shortcuts_and_no_link_beside_them(tmp_path):
    async with bench(tmp_path) as b:
        made = await b.create(recording_config={"transcript": {"provider": {"meeting_captions": {}}}, "audio_mixed_mp3": {}})
        await b.settle()
        (recording,) = (await b.mdc(made))["recordings"]
        shortcuts = recording["media_shortcuts"]
        assert set(shortcuts) == {"audio_mixed", "meeting_metadata", "participant_events", "transcript", "video_mixed"}
        assert "data" not in shortcuts
        assert shortcuts["video_mixed"]["format"] == "mp4"
        assert shortcuts["transcript"]["provider"] == {"zoom_rtms": {}}
        assert recording["status"]["code"] == "done"
        assert (await b.download(shortcuts["video_mixed"]["data"]["download_url"])).content == b"video_mixed mp4"


@pytest.mark.parametrize("form", [f"Token {KEY}", KEY, f"Bearer {KEY}", f"token  {KEY}"])
async def test_the_key_is_taken_in_every_form_recall_takes(tmp_path, form):
    async with bench(tmp_path) as b:
        assert (await b.client.get(f"{MDC}/", headers={"authorization": form})).status_code == 200


@pytest.mark.parametrize(
    ("form", "code", "begins"),
    [
        (None, "not_authenticated", "Authentication credentials were not provided."),
        (f"Banana {KEY}", "authentication_failed", "Invalid token header. No credentials provided."),
        ("Token wrong", "authentication_failed", "Invalid API token. The API token provided might be for another Recall region"),
        (f"Token {KEY} more", "authentication_failed", "Invalid token header."),
    ],
)
async def test_anything_else_gets_its_401_before_the_method_is_looked_at(tmp_path, form, code, begins):
    async with bench(tmp_path) as b:
        del b.client.headers["authorization"]
        headers = {} if form is None else {"authorization": form}
        for method in ("GET", "PUT"):
            answer = await b.client.request(method, f"{MDC}/", headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Token")
            assert answer.json()["code"] == code
            assert answer.json()["detail"].startswith(begins)


async def test_unrouted_paths_are_html_404_even_without_a_key_and_missing_objects_json_404(tmp_path):
    async with bench(tmp_path) as b:
        del b.client.headers["authorization"]
        unrouted = await b.client.get("/nothing_here/")
        assert (unrouted.status_code, unrouted.headers["content-type"]) == (404, "text/html; charset=utf-8")
        b.client.headers["authorization"] = KEY
        missing = await b.client.get(f"{MDC}/{MISSING}")
        assert (missing.status_code, missing.json()) == (404, {"code": "not_found", "detail": "Not found."})


async def test_a_wrong_method_is_405_and_says_what_is_allowed(tmp_path):
    async with bench(tmp_path) as b:
        answer = await b.client.put(f"{MDC}/", json={})
        assert answer.status_code == 405
        assert answer.json() == {"code": "method_not_allowed", "detail": 'Method "PUT" not allowed.'}
        assert answer.headers["allow"] == "GET, POST, HEAD, OPTIONS"
        assert (await b.client.delete(f"{MDC}/{MISSING}")).status_code == 405


@pytest.mark.parametrize(
    ("sent", "problems"),
    [
        (
            {**body(), "bot_name": "x"},
            {
                "bot_name": [
                    "This field is not allowed. (more details: https://docs.recall.ai/reference/meeting_direct_connect_create?region=us-east-1)"
                ]
            },
        ),
        (
            {"zoom_rtms": {"meeting_uuid": "a"}},
            {"zoom_rtms": {key: ["This field is required."] for key in ("rtms_stream_id", "server_urls", "signature")}},
        ),
        ({"zoom_rtms": {**RTMS, "server_urls": ""}}, {"zoom_rtms": {"server_urls": ["This field may not be blank."]}}),
        ({"zoom_rtms": {**RTMS, "meeting_uuid": None}}, {"zoom_rtms": {"meeting_uuid": ["This field may not be null."]}}),
        ({"zoom_rtms": {**RTMS, "signature": "AB"}}, {"zoom_rtms": {"signature": ["Enter a valid signature."]}}),
        ({}, {"non_field_errors": ["Exactly one of `zoom_rtms`, `google_meet_media_api` must be given."]}),
        (body(metadata={"k": "x" * 501}), {"metadata": {"k": ["Ensure this field has no more than 500 characters."]}}),
        (body(metadata={"k": 1}), {"metadata": {"k": ["Not a valid string."]}}),
        (
            body(recording_config={"video_mixed_layout": "sideways"}),
            {"recording_config": {"video_mixed_layout": ['"sideways" is not a valid choice.']}},
        ),
        ([], {"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}),
    ],
)
async def test_a_wrong_body_gets_a_400_that_names_each_field(tmp_path, sent, problems):
    async with bench(tmp_path) as b:
        answer = await b.client.post(MDC, json=sent)
        assert (answer.status_code, answer.json()) == (400, problems)
        assert not b.recall.workspace.mdcs


@pytest.mark.parametrize(
    ("kind", "raw", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b'{"metadata": {"a": NaN}}', 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b"\xff", 400),
        ("application/json", json.dumps(body("\ud800")).encode(), 201),
        ("text/plain", json.dumps(body()).encode(), 415),
        ("multipart/form-data", b"x", 400),
        ("application/x-www-form-urlencoded", "&".join(f"zoom_rtms.{k}={v.replace('=', '%3D')}" for k, v in RTMS.items()).encode(), 201),
    ],
)
async def test_bodies_are_read_by_their_content_type(tmp_path, kind, raw, status):
    async with bench(tmp_path) as b:
        answer = await b.client.post(MDC, content=raw, headers={"content-type": kind})
        assert answer.status_code == status, answer.text


async def test_a_multipart_form_is_read_too(tmp_path):
    async with bench(tmp_path) as b:
        answer = await b.client.post(MDC, files={f"zoom_rtms.{name}": (None, value) for name, value in RTMS.items()})
        assert answer.status_code == 201


async def test_a_body_over_the_limit_is_413(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(max_body_bytes=1000)) as b:
        assert (await b.client.post(MDC, content=b" " * 1001, headers={"content-type": "application/json"})).status_code == 413


@pytest.mark.parametrize("url", ["wss://localhost:1", "http://127.0.0.1/x", "https://10.1.2.3", "ws://[::1]:9/", "HTTP://LOCALHOST"])
async def test_the_firewall_stops_local_and_ip_urls_unless_it_is_told_not_to(tmp_path, url):
    sent = json.dumps(body(metadata={"where": url})).replace("/", "\\/")
    async with bench(tmp_path) as b:
        answer = await b.client.post(MDC, content=sent, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (403, "request_blocked")
        b.recall.switches = RecallSwitches(html_waf=True)
        answer = await b.client.post(MDC, content=sent, headers={"content-type": "application/json"})
        assert answer.status_code == 403
        assert "403 ERROR" in answer.text
    async with bench(tmp_path, allow_local_urls=True) as b:
        assert (await b.client.post(MDC, content=sent, headers={"content-type": "application/json"})).status_code == 201


async def test_what_the_firewall_stopped_is_named_in_a_header_and_accepting_it_is_warned_of(tmp_path, caplog):
    endpoint = {"type": "webhook", "url": "http://127.0.0.1:9/x", "events": ["transcript.data"]}
    sent = body(recording_config={"realtime_endpoints": [endpoint]})
    async with bench(tmp_path) as b:
        answer = await b.client.post(MDC, json=sent)
        assert set(answer.json()) == {"code", "detail"}
        assert "127.0.0.1:9" in answer.headers["x-rtmskit-reason"]
        assert "--local-endpoints" in answer.headers["x-rtmskit-reason"]
    caplog.clear()
    async with bench(tmp_path, allow_local_urls="all") as b:
        assert (await b.client.post(MDC, json=sent)).status_code == 201
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "for a test only" in warning
    assert "the real Recall refuses it, too" in warning


@pytest.mark.parametrize("url", ["http://localhost:8000/x", "http://127.0.0.1/x", "https://8.8.8.8/x"])
async def test_a_local_zoom_can_be_allowed_without_local_receivers_and_that_changed_at_run_time(tmp_path, url):
    endpoint = {"type": "webhook", "url": url, "events": ["transcript.data"]}
    sent = body(
        server_urls="ws://127.0.0.1:1",
        recording_config={"transcript": {"provider": {"meeting_captions": {}}}, "realtime_endpoints": [endpoint]},
    )
    async with bench(tmp_path, allow_local_urls="server_urls") as b:
        assert (await b.client.post(MDC, json=body(server_urls="ws://127.0.0.1:1"))).status_code == 201
        assert (await b.client.post(MDC, json=sent)).status_code == 403
        b.recall.switches = replace(b.recall.switches, allow_local_urls="all")
        assert (await b.client.post(MDC, json=sent)).status_code == 201
        await b.recall.reset()
        assert (await b.client.post(MDC, json=sent)).status_code == 403


async def test_a_get_with_any_body_is_blocked(tmp_path):
    async with bench(tmp_path) as b:
        assert (await b.client.request("GET", MDC, content=b"null")).status_code == 403


async def test_limits_are_sliding_and_say_when_to_come_back(tmp_path):
    async with bench(tmp_path) as b:
        for _ in range(60):
            await b.create()
            await b.pass_time(0.5)
        refused = await b.client.post(MDC, json=body())
        assert refused.status_code == 429
        # The first went 30 s ago, so in 30 s its place is free.
        assert refused.headers["retry-after"] == "30"
        assert [name for name in refused.headers if "limit" in name] == []
        await b.pass_time(29)
        assert (await b.client.post(MDC, json=body())).headers["retry-after"] == "1"
        await b.pass_time(1)
        assert (await b.client.post(MDC, json=body())).status_code == 201


async def test_limits_differ_by_operation(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(limits=RateLimits(create=1, listing=2, single=3))) as b:
        made = await b.create()
        assert [(await b.client.get(MDC)).status_code for _ in range(3)] == [200, 200, 429]
        assert [(await b.client.get(f"{MDC}/{made['id']}")).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert (await b.client.post(MDC, json=body())).status_code == 429


async def test_one_key_makes_one_mdc_for_an_hour_whatever_the_body(tmp_path):
    async with bench(tmp_path) as b:
        first = await b.create(key="k")
        await b.pass_time(3599)
        assert (await b.create("another", key="k")) == first
        assert (await b.client.post(f"{MDC}/", json={}, headers={"idempotency-key": "k"})).json() == first
        assert len(b.recall.workspace.mdcs) == 1
        await b.pass_time(1)
        assert (await b.create(key="k"))["id"] != first["id"]


async def test_a_second_request_while_the_first_is_in_flight_is_409_and_not_performed(tmp_path):
    async with bench(tmp_path, faults=["recall.create: slow 5s"]) as b:
        slow = asyncio.create_task(b.create(key="k"))
        await b.settle()
        again = await b.client.post(MDC, json=body(), headers={"idempotency-key": "k"})
        assert again.status_code == 409
        assert (await b.create(key="other"))["id"]
        await b.pass_time(5)
        first = await slow
        assert await b.create(key="k") == first
        assert len(b.recall.workspace.mdcs) == 2


@pytest.mark.parametrize(("stores", "second"), [("all", 400), ("success", 201)])
async def test_whether_errors_are_replayed_is_a_switch(tmp_path, stores, second):
    async with bench(tmp_path, switches=RecallSwitches(idempotency_stores=stores)) as b:
        headers = {"idempotency-key": "k"}
        assert (await b.client.post(MDC, json={}, headers=headers)).status_code == 400
        assert (await b.client.post(MDC, json=body(), headers=headers)).status_code == second


async def test_lists_are_walked_by_cursor_on_the_callers_own_host(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(page_size=2)) as b:
        made = [(await b.create(f"s{number}"))["id"] for number in range(5)]
        await b.settle()
        seen, url, backward = [], "https://us-east-1.recall.ai/api/v1/meeting_direct_connect/?extra=1", ""
        while url:
            assert url.startswith("https://us-east-1.recall.ai/api/v1/meeting_direct_connect/?extra=1")
            answer = (await b.client.get(url)).json()
            assert set(answer) == {"next", "previous", "results"}
            seen += [mdc["id"] for mdc in answer["results"]]
            url, backward = answer["next"], answer["previous"]
        assert seen == made[::-1]
        assert [mdc["id"] for mdc in (await b.client.get(backward)).json()["results"]] == made[1:3][::-1]
        assert (await b.client.get(MDC, params={"cursor": "zzz"})).status_code == 404


async def test_the_mdc_list_can_be_a_bare_array(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(mdc_list="bare_array")) as b:
        made = await b.create()
        assert [mdc["id"] for mdc in await b.get(MDC)] == [made["id"]]


async def test_recordings_are_found_by_planted_metadata(tmp_path):
    async with bench(tmp_path) as b:
        for name in ("one", "two"):
            await b.create(name, recording_config={"metadata": {"rtmskit_handoff": name}}, metadata={"rtmskit_handoff": name})
        await b.settle()
        found = await b.get("/recording/", metadata__rtmskit_handoff="two")
        assert [recording["metadata"] for recording in found["results"]] == [{"rtmskit_handoff": "two"}]
        # The MDC list has no documented filter.
        assert len((await b.get(MDC, metadata__rtmskit_handoff="two"))["results"]) == 2
        b.recall.switches = replace(b.recall.switches, mdc_list_metadata_filter=True)
        assert len((await b.get(MDC, metadata__rtmskit_handoff="two"))["results"]) == 1


async def test_the_recordings_list_can_ignore_its_filters_but_never_its_cursor(tmp_path):
    async with bench(tmp_path, switches=RecallSwitches(recording_list_filters="ignored", page_size=2)) as b:
        for name in ("one", "two", "three"):
            await b.create(name, recording_config={"metadata": {"rtmskit_handoff": name}})
        await b.settle()
        first = await b.get("/recording/", metadata__rtmskit_handoff="two", status_code="failed", created_at_after="2099-01-01T00:00:00Z")
        assert [recording["metadata"]["rtmskit_handoff"] for recording in first["results"]] == ["three", "two"]
        answer = await b.client.get(first["next"])
        assert [recording["metadata"]["rtmskit_handoff"] for recording in answer.json()["results"]] == ["one"]
        # What is no status at all is still refused.
        assert (await b.client.get("/recording/", params={"status_code": "nonsense"})).status_code == 400
        b.recall.switches = replace(b.recall.switches, recording_list_filters="applied")
        assert len((await b.get("/recording/", metadata__rtmskit_handoff="two"))["results"]) == 1


async def test_recordings_can_come_without_the_metadata_that_was_planted(tmp_path):
    artifact = {"video_mixed_mp4": {"metadata": {"of": "video"}}}
    async with bench(tmp_path, switches=RecallSwitches(recording_metadata="absent")) as b:
        made = await b.create(metadata={"top": "1"}, recording_config={"metadata": {"rtmskit_handoff": "one"}, **artifact})
        await b.settle()
        recording = (await b.get("/recording/"))["results"][0]
        assert recording["metadata"] == {}
        assert recording["media_shortcuts"]["video_mixed"]["metadata"] == {"of": "video"}
        assert (await b.mdc(made))["metadata"] == {"top": "1"}
        assert (await b.mdc(made))["recordings"][0]["metadata"] == {}
        assert (await b.get("/recording/", metadata__rtmskit_handoff="one"))["results"] == []
        assert {json.dumps(received.json["data"]["recording"]["metadata"]) for received in b.receiver.got} == {"{}"}


async def test_recordings_and_artifacts_are_filtered(tmp_path):
    async with bench(tmp_path) as b:
        first = await b.create("a")
        await b.pass_time(10)
        await b.create("b")
        await b.settle()
        recording = (await b.mdc(first))["recordings"][0]
        assert [r["id"] for r in (await b.get("/recording/", created_at_before=recording["created_at"]))["results"]] == [recording["id"]]
        assert len((await b.get("/recording/", created_at_after=recording["created_at"], status_code="done"))["results"]) == 2
        assert (await b.get("/recording/", bot_id=MISSING))["results"] == []
        (video,) = (await b.get("/video_mixed/", recording_id=recording["id"]))["results"]
        assert video["recording"] == {"id": recording["id"], "metadata": {}}
        assert (await b.get("/video_mixed/", status_code="failed"))["results"] == []
        for bad in ({"status_code": "x"}, {"created_at_after": "yesterday"}, {"recording_id": "7"}):
            answer = await b.client.get("/video_mixed/", params=bad)
            assert answer.status_code == 400
            assert list(answer.json()) == list(bad)


async def test_metadata_is_replaced_by_patch_on_every_resource_that_has_it(tmp_path):
    async with bench(tmp_path) as b:
        endpoint = {"type": "webhook", "url": "https://receiver.test/rt", "events": ["transcript.data"]}
        made = await b.create(recording_config={"realtime_endpoints": [endpoint], "metadata": {"old": "1"}})
        await b.settle()
        recording = (await b.mdc(made))["recordings"][0]["id"]
        video = (await b.get("/video_mixed/", recording_id=recording))["results"][0]["id"]
        realtime = (await b.get("/realtime_endpoint/", type="webhook"))["results"][0]["id"]
        for path in (f"/recording/{recording}/", f"/video_mixed/{video}/", f"/realtime_endpoint/{realtime}/"):
            answer = await b.client.patch(path, json={"metadata": {"new": None}})
            assert (answer.status_code, answer.json()["metadata"]) == (200, {"new": None})
            assert (await b.get(path))["metadata"] == {"new": None}
            assert (await b.client.patch(path, json={"status": "done"})).status_code == 400
            assert (await b.client.patch(path, json={})).json()["metadata"] == {"new": None}


async def test_an_artifact_is_only_found_under_its_own_kind(tmp_path):
    async with bench(tmp_path) as b:
        await b.create()
        await b.settle()
        video = (await b.get("/video_mixed/"))["results"][0]["id"]
        for path in (f"/audio_mixed/{video}/", f"/video_mixed/{MISSING}/", f"/recording/{MISSING}/", f"/realtime_endpoint/{MISSING}/"):
            assert (await b.client.get(path)).status_code == 404


async def test_the_history_keeps_what_was_asked_but_no_key(tmp_path):
    async with bench(tmp_path, faults=["recall.create: 503"]) as b:
        await b.client.post(MDC, json=body())
        await b.create(key="k")
        await b.create(key="k")
        shown = [(e.operation, e.status, e.fault, e.replayed) for e in b.recall.api.history]
        operation = "meeting_direct_connect_create"
        assert shown == [(operation, 503, "503", False), (operation, 201, None, False), (operation, 201, None, True)]
        assert KEY not in repr(list(b.recall.api.history))


async def test_head_is_get_without_a_body(tmp_path):
    async with bench(tmp_path) as b:
        answer = await b.client.head(MDC)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) > 0


async def test_options_say_what_there_is(tmp_path):
    async with bench(tmp_path) as b:
        answer = await b.client.options(f"/recording/{MISSING}")
        assert (answer.status_code, answer.headers["allow"]) == (204, "DELETE, GET, PATCH, HEAD, OPTIONS")


async def test_reads_the_body_in_pieces(tmp_path):
    async def pieces():
        raw = json.dumps(body()).encode()
        for start in range(0, len(raw), 7):
            yield raw[start : start + 7]

    async with bench(tmp_path) as b:
        answer = await b.client.post(MDC, content=pieces(), headers={"content-type": "application/json"})
        assert answer.status_code == 201


async def test_a_faultless_client_gets_the_same_bytes_from_the_same_seed(tmp_path):
    async def run(seed):
        async with bench(tmp_path, seed=seed) as b:
            await b.create()
            await b.settle()
            return (await b.client.get(MDC)).content, [received.raw for received in b.receiver.got]

    assert await run(1) == await run(1)
    assert await run(1) != await run(2)


async def test_a_disconnected_request_is_dropped(tmp_path):
    async with bench(tmp_path) as b:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/v1/meeting_direct_connect",
            "query_string": b"",
            "headers": [],
            "client": None,
        }

        async def receive():
            return {"type": "http.disconnect"}

        async def send(message):
            raise AssertionError(message)

        await b.recall.app(scope, receive, send)
        assert len(b.recall.api.history) == 0


async def test_the_transport_names_a_cut_connection_as_httpx_does(tmp_path):
    async with bench(tmp_path, faults=["recall.create: reset"]) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await b.client.post(MDC, json=body())
