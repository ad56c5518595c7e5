"""`rtms_simulator.kit.worker_client`: pages are followed, downloads resume, and a file appears only when it is whole."""

import asyncio
import hashlib
from pathlib import Path

import httpx
import msgspec
import pytest
from tests.unit.simulator.fake_worker import DATA, GOLDEN, KEY, Worker

from rtms_simulator.errors import WorkerRefusedError, WorkerUnreachableError
from rtms_simulator.kit.worker_answers import HandOffDetail, HandOffPage
from rtms_simulator.kit.worker_client import LinkRefusedError, Recordings, part_file
from rtms_simulator.serving.http_server import HttpServer


@pytest.fixture
async def worker():
    fake = Worker()
    server = HttpServer(fake.app)
    await server.start()
    fake.url = server.url
    yield fake
    await server.aclose()


@pytest.fixture
async def recordings(worker):
    client = Recordings(worker.url, token="identity")
    yield client
    await client.aclose()


async def test_every_page_is_followed(recordings):
    assert [row.id async for row in recordings.every()] == ["1", "2"]


async def test_no_connection_is_used_again_that_the_worker_may_be_closing(recordings, worker):
    assert len([row async for row in recordings.every()]) == 2
    assert len(set(worker.connections)) == 2


async def test_a_refusal_carries_the_workers_reason(recordings):
    with pytest.raises(WorkerRefusedError, match=r"no hand-off has this key \(HTTP 404\)"):
        await recordings.one("b" * 64)


async def test_a_whole_download_reports_progress_size_and_sha256(recordings, tmp_path: Path):
    seen = []
    got = await recordings.download(KEY, None, tmp_path / "talk.raw", lambda have, total: seen.append((have, total)))
    assert (got.size, got.sha256, got.resumed_at) == (len(DATA), hashlib.sha256(DATA).hexdigest(), 0)
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert not part_file(tmp_path / "talk.raw", KEY, None).exists()


async def test_a_broken_download_leaves_no_file_and_goes_on_where_it_was(recordings, worker, tmp_path: Path):
    target = tmp_path / "talk.raw"
    worker.breaks_after = 300_000
    with pytest.raises(WorkerUnreachableError, match="broke off after"):
        await recordings.download(KEY, None, target)
    assert not target.exists()
    kept = part_file(target, KEY, None).stat().st_size
    assert 0 < kept <= 300_000

    worker.breaks_after = None
    got = await recordings.download(KEY, None, target)
    assert (got.resumed_at, worker.ranges[-1]) == (kept, f"bytes={kept}-")
    assert target.read_bytes() == DATA


async def test_an_answer_that_ends_early_without_a_word_is_noticed_by_the_announced_total(recordings, worker, tmp_path: Path):
    target = tmp_path / "talk.raw"
    part_file(target, KEY, None).write_bytes(DATA[:1000])
    worker.silently_short = True
    with pytest.raises(WorkerUnreachableError, match=rf"broke off after .* of {len(DATA):,} bytes"):
        await recordings.download(KEY, None, target)
    assert not target.exists()


async def test_a_part_that_is_too_long_is_thrown_away(recordings, tmp_path: Path):
    target = tmp_path / "talk.raw"
    part_file(target, KEY, None).write_bytes(b"x" * (len(DATA) + 1))
    assert (await recordings.download(KEY, None, target)).sha256 == hashlib.sha256(DATA).hexdigest()


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_of_two_downloads_to_the_same_file_the_second_is_refused_and_the_first_is_whole(recordings, worker, tmp_path: Path):
    """Both would write one part file, each over what the other has written."""
    target = tmp_path / "talk.raw"
    part_file(target, KEY, None).write_bytes(DATA[:1000])
    refused = []

    async def second() -> None:
        with pytest.raises(OSError, match="another download is writing it") as caught:
            await recordings.download(KEY, None, target)
        refused.append(caught.value)

    running: list[asyncio.Task[None]] = []

    def begin_another(have: int, _total: int | None) -> None:
        if not running:
            running.append(asyncio.ensure_future(second()))

    first = await recordings.download(KEY, None, target, begin_another)
    await running[0]
    assert len(refused) == 1
    assert (first.sha256, target.read_bytes()) == (hashlib.sha256(DATA).hexdigest(), DATA)
    assert names_in(tmp_path) == ["talk.raw"]


async def test_a_download_that_got_nothing_leaves_nothing(recordings, worker, tmp_path: Path):
    worker.refuses_links = 2
    with pytest.raises(LinkRefusedError):
        await recordings.download(KEY, None, tmp_path / "talk.raw")
    assert not names_in(tmp_path)


def test_parts_of_different_recordings_are_different_files(tmp_path: Path):
    names = {part_file(tmp_path / "x", key, artifact) for key in ("a", "b") for artifact in (None, "transcript")}
    assert len(names) == 4


async def test_an_error_without_words_is_named_by_its_kind(monkeypatch):
    async def silent(_self, request, **_):
        raise httpx.ReadTimeout("", request=request)

    monkeypatch.setattr(httpx.AsyncClient, "send", silent)
    client = Recordings("http://127.0.0.1:1")
    with pytest.raises(WorkerUnreachableError, match=r"does not answer: ReadTimeout$"):
        await client.one(KEY)
    await client.aclose()


async def test_a_download_that_stalls_says_so(recordings, monkeypatch, tmp_path: Path):
    def silent(_self, method, url, **_):
        raise httpx.ReadTimeout("", request=httpx.Request(method, url))

    monkeypatch.setattr(httpx.AsyncClient, "stream", silent)
    with pytest.raises(WorkerUnreachableError, match=r"broke off after 0 bytes: ReadTimeout$"):
        await recordings.download(KEY, None, tmp_path / "talk.raw")


async def test_nobody_there(tmp_path: Path):
    client = Recordings("http://127.0.0.1:1")
    with pytest.raises(WorkerUnreachableError, match="does not answer"):
        await client.one(KEY)
    await client.aclose()


async def test_a_link_that_has_expired_is_asked_for_anew_once(recordings, worker, tmp_path: Path):
    worker.refuses_links = 1
    assert (await recordings.download(KEY, None, tmp_path / "talk.raw")).size == len(DATA)
    worker.refuses_links = 2
    with pytest.raises(LinkRefusedError, match=r"refuses the link, and refused one before it \(HTTP 403\)"):
        await recordings.download(KEY, None, tmp_path / "talk.raw")
    assert worker.refuses_links == 0


async def test_an_answer_that_this_kit_does_not_know_is_an_error_and_no_empty_column(recordings, worker):
    for change in ({"more": 1}, {"entity_id": None}, {"event_ts": "now"}, {"recordings": [{"id": "1"}]}):
        worker.changes = change
        with pytest.raises(WorkerRefusedError, match="does not know"):
            await recordings.every().__anext__()


def test_the_real_workers_answers_are_decoded_whole():
    page = msgspec.convert(GOLDEN["page"], HandOffPage)
    one = msgspec.convert(GOLDEN["one"], HandOffDetail)
    assert msgspec.to_builtins(page.recordings[0]).items() >= GOLDEN["page"]["recordings"][0].items()
    assert msgspec.to_builtins(one).items() >= GOLDEN["one"].items()
    assert one.links[one.recordings[0].id]["video_mixed"]


async def test_one_hand_off_is_decoded_strictly_with_its_links(recordings, worker):
    one = await recordings.one(GOLDEN["one"]["id"])
    assert isinstance(one, HandOffDetail)
    worker.changes = {"more": 1}
    with pytest.raises(WorkerRefusedError, match="does not know"):
        await recordings.one(GOLDEN["one"]["id"])
