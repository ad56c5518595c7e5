"""`rtmskit recordings`: what is there, and its bytes, whole and resumable."""

import asyncio
import hashlib
import json
import threading

import pytest
from tests.unit.simulator.fake_worker import DATA, KEY, Worker

from rtms_simulator.kit.worker_client import part_file
from rtms_simulator.serving.http_server import HttpServer


@pytest.fixture
def worker():
    """A worker on a thread of its own, since a command runs its own loop in ours."""
    fake, started = Worker(), threading.Event()
    loop, done = asyncio.new_event_loop(), asyncio.Event()

    async def serve():
        server = HttpServer(fake.app)
        await server.start()
        fake.url = server.url
        started.set()
        await done.wait()
        await server.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(10)
    yield fake
    loop.call_soon_threadsafe(done.set)
    thread.join()
    loop.close()


def test_list_follows_the_pages_up_to_the_limit(rtmskit, worker):
    listed = rtmskit("recordings", "list", "--worker", worker.url, "--json")
    assert [row["id"] for row in json.loads(listed.stdout)["recordings"]] == ["1", "2"]
    limited = rtmskit("recordings", "list", "--worker", worker.url, "--json", "--limit", "1")
    assert [row["id"] for row in json.loads(limited.stdout)["recordings"]] == ["1"]


def test_the_table_shows_meeting_product_time_and_reason(rtmskit, worker):
    worker.changes = {"reason": "Recall answered 401", "entity_id": "ToyO/LNDfEMPn9JvKWilvw==", "event_ts": 1_795_000_000_000}
    heads, first, *_ = rtmskit("recordings", "list", "--worker", worker.url).stdout.splitlines()
    assert heads.split() == ["id", "started", "product", "meeting", "hand-off", "recording", "reason"]
    for cell in ("1 ", "2026-11-18", "meeting", "ToyO/LNDfEMPn9JvKWilvw==", "accepted", "done", "Recall answered 401"):
        assert cell in first, first


def test_an_unknown_one_is_bad_input_with_the_workers_reason(rtmskit, worker):
    done = rtmskit("recordings", "show", "nothing", "--worker", worker.url)
    assert done.exit_code == 2
    assert "there is no hand-off 'nothing'" in done.stderr
    assert "rtmskit handoffs list" in done.stderr
    whole = rtmskit("recordings", "show", "b" * 64, "--worker", worker.url)
    assert whole.exit_code == 2
    assert "no hand-off has this key (HTTP 404)" in whole.stderr
    assert "rtmskit recordings list" in whole.stderr


def test_download_names_the_file_after_the_recording_and_its_kind(rtmskit, worker, tmp_path):
    done = rtmskit("recordings", "download", KEY, "--worker", worker.url)
    assert done.exit_code == 0, done.output
    assert (tmp_path / f"{KEY}.bin").read_bytes() == DATA
    assert hashlib.sha256(DATA).hexdigest() in done.stdout


def test_download_goes_on_where_it_broke_off(rtmskit, worker, tmp_path):
    target = tmp_path / "talk.raw"
    part_file(target, KEY, "audio_mixed").write_bytes(DATA[:1000])
    arguments = ["recordings", "download", KEY, "--worker", worker.url, "--artifact", "audio_mixed", "-o", target, "--json"]
    done = json.loads(rtmskit(*arguments).stdout)
    assert done == {
        "path": str(target),
        "size": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "content_type": "audio/x-raw",
        "resumed_at": 1000,
    }
    assert target.read_bytes() == DATA


def test_a_worker_that_is_not_there(rtmskit):
    done = rtmskit("recordings", "list", "--worker", "http://127.0.0.1:1")
    assert done.exit_code == 3
    assert "does not answer" in done.stderr


def test_without_a_worker_a_running_up_is_needed(rtmskit):
    done = rtmskit("recordings", "list")
    assert done.exit_code == 3
    assert "start `rtmskit up` here" in done.stderr


@pytest.mark.parametrize("worker", ["notaurl", "localhost:80", "http://", "ftp://host/", "http://[", "http://host:x/"])
def test_a_worker_that_is_no_url_is_bad_input(rtmskit, worker):
    done = rtmskit("recordings", "list", "--worker", worker)
    assert done.exit_code == 2
    assert "is not a URL" in done.stderr
