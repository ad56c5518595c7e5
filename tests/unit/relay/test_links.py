"""Links live six hours, so each is fetched when it is asked for, and none is kept."""

from __future__ import annotations

import json

from tests.unit.relay.fakes import Bench, started


async def test_a_link_is_fresh_each_time_it_is_asked_for() -> None:
    bench = Bench()
    key = (await bench.zoom(started()))["handoff"]
    await bench.run()
    bench.recall.record("mdc-1")
    await bench.recall_says("recording.done", "rec-1", key)
    await bench.run()
    video = bench.recall.recordings["rec-1"]["media_shortcuts"]["video_mixed"]
    for hour in range(3):
        link = f"https://bucket.example/v.mp4?Expires={hour}"
        video["data"]["download_url"] = link
        assert (await bench.worker.retrieval.link(key, "video_mixed", None)).url == link
        assert (await bench.worker.retrieval.show(key))["links"]["rec-1"]["video_mixed"] == link
        bench.clock.now += 6 * 3_600_000
    assert "Expires" not in json.dumps([bench.handoffs(), bench.log.lines])
