"""Links live six hours, so each is fetched when it is asked for, and none is kept."""

from __future__ import annotations

import json

from tests.ports.bench import Bench, key_of
from tests.ports.events import started


async def test_a_link_is_fresh_each_time_it_is_asked_for() -> None:
    bench = Bench()
    key = key_of()
    await bench.zoom(started())
    await bench.run(1)
    bench.recall.record("mdc-1")
    await bench.recall_says("recording.done", "rec-1", key)
    await bench.run(60)
    video = bench.recall.recordings["rec-1"]["media_shortcuts"]["video_mixed"]
    for hour in range(3):
        link = f"https://bucket.example/v.mp4?Expires={hour}"
        video["data"]["download_url"] = link
        assert (await bench.worker.inquiries.link(key, "video_mixed", None)).url == link
        assert (await bench.worker.inquiries.show(key)).links["rec-1"]["video_mixed"] == link
        await bench.run(6 * 3600)
    assert "Expires" not in json.dumps([bench.store.all("handoffs"), bench.log.lines])
