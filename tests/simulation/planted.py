"""Bugs that somebody might really write, each as a patch, and what must catch it within CI's budget.

A patch is an exact piece of today's source and its replacement; a piece that is no longer there fails the test that plants it,
so that the list cannot rot. `hunter` is "simulation", "rush", "small scope" or the node id of a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug: in which module of `rtms_relay`, what is replaced by what, and who must find it. `guarantee`: the promise that the
    simulation or the full hour must report as broken; empty: any. `weather`: the kind of seed in which it shows soonest; empty: any."""

    name: str
    module: str
    source: str
    instead: str
    hunter: str
    guarantee: str = ""
    weather: str = ""


BUGS = (
    Bug(
        "the create-if-absent is dropped: a record that is there is written over",
        "records.py",
        "writes += [self._write(after, versions.get(key)) for key, after in changed.items()]",
        "writes += [self._write(after, versions.get(key, '1')) for key, after in changed.items()]",
        "tests/unit/relay/handing/test_handing.py",
    ),
    Bug(
        "every attempt has another Idempotency-Key",
        "handing.py",
        "answer = await self._api.create(body, idempotency_key(handoff.key, key))",
        "answer = await self._api.create(body, idempotency_key(handoff.key, key + handoff.attempt.tries))",
        "simulation",
    ),
    Bug(
        "streams are deduplicated on their id alone, so fail-overs are dropped",
        "handoff/keys.py",
        "parts = (deployment, stream_id, server_urls, str(epoch))",
        'parts = (deployment, stream_id, "", "")',
        "simulation",
        "G3",
    ),
    Bug(
        "the ack goes out although no queue has the start",
        "intake.py",
        """        if not taken:
            raise QueueUnavailable("no hand-off queue took the start")
""",
        "",
        "tests/unit/relay/handing/test_handing.py",
    ),
    Bug(
        "a stop cancels whatever its time is, also a start that came after it",
        "handoff/attempt.py",
        "over = situation.stopped_ts > attempt.start_ts and",
        "over = situation.stopped_ts > 0 and",
        "simulation",
        "G1",
    ),
    Bug(
        "a lease never expires",
        "handoff/attempt.py",
        "if attempt.lease_until is not None and attempt.lease_until > now:\n        return Wait",
        "if attempt.lease_until is not None:\n        return Wait",
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "the sweep passes over what is pending",
        "sweeping.py",
        "pending = [handoff for handoff in due if handoff.attempt.due_at is not None and handoff.attempt.due_at <= now]",
        "pending: list[HandOff] = []",
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "a 400 is tried again",
        "handoff/answers.py",
        '(400, 499, Row("refused", "none",',
        '(400, 499, Row("in_doubt", "backoff",',
        "tests/unit/relay/handing/test_handing.py",
    ),
    Bug(
        "a download link is kept and given out again",
        "inquiries.py",
        "                    return view.links[name]\n",
        "                    return _KEPT.setdefault((key, name), view.links[name])\n",
        "tests/unit/relay/test_links.py",
    ),
    Bug(
        "a challenge that carries a wrong signature is answered",
        "intake.py",
        "        if zoom.is_signed(headers):\n",
        '        if zoom.is_signed(headers) and b"url_validation" not in body:\n',
        "tests/unit/relay/test_intake.py",
    ),
    Bug(
        "the signature is checked over the body written anew, not over its bytes",
        "zoom.py",
        "hmac.compare_digest(sign(secret, timestamp, body).encode(), signature_bytes)",
        "hmac.compare_digest("
        "sign(secret, timestamp, msgspec.json.format(body, indent=-1) if body[:1] == b'{' else body).encode(), signature_bytes)",
        "tests/property/relay/test_authenticity.py",
    ),
    Bug(
        "the client secret is logged with each attempt",
        "handing.py",
        'line = {"number": handoff.attempt.tries,',
        'line = {"signed_with": settings.zoom_client_secret, "number": handoff.attempt.tries,',
        "simulation",
    ),
    Bug(
        "a recording is deleted because a filter returned it",
        "recordings.py",
        "            if view.handoff in handoffs:\n",
        "            if view.handoff in handoffs or handoffs:\n",
        "simulation",
    ),
    Bug(
        "while the store is away, the next key is used",
        "handing.py",
        "outcome, at = await self._post(handoff, 0)",
        "outcome, at = await self._post(handoff, handoff.attempt.keys.number)",
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "the second region's queue is not used",
        "intake.py",
        'if "handoffs-second" in self._queues:',
        'if "handoffs-third" in self._queues:',
        "simulation",
        "G9",
        "home",
    ),
    Bug(
        "a fail-over back to earlier servers counts as known",
        "handoff/facts.py",
        "    if newest is None or (event_ts, server_urls) > (newest.newest_ts, newest.server_urls):\n        return None\n",
        "    if newest is None:\n        return None\n",
        "tests/unit/relay/handing/test_handing.py",
    ),
    Bug(
        "what came of a start without the store is not sent to facts",
        "handing.py",
        "            await self._to_facts(message, _OUTCOME_PATIENCE_MS)\n",
        "            pass\n",
        # The word that is left before the POST makes the record; only an outage longer than the window shows the difference.
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "what came of a start without the store goes through the home region only",
        "handing.py",
        '            if "handoffs-second" not in self._queues:\n                raise\n',
        "            raise\n",
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "a lease whose answer was lost is taken for another's",
        "records.py",
        "            return unclear and await self._is_there(writes[-1])\n",
        "            return False\n",
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "every conflict after a lost answer is one's own write",
        "records.py",
        "            return unclear and await self._is_there(writes[-1])\n",
        "            return unclear\n",
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "a start that joins a late one is tried once, too",
        "handoff/attempt.py",
        "attempt = replace(attempt, start_ts=situation.start_ts, late=False)",
        "attempt = replace(attempt, start_ts=situation.start_ts)",
        "tests/unit/relay/handing/test_handing.py",
    ),
    Bug(
        "no word is left before a POST without the store",
        "handing.py",
        "            await self._announce(start)\n",
        "            pass\n",
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "what comes of a start without the store is not written down",
        "worker.py",
        "                return _reply(task.start, await self._new_handing().note_outcome(task))\n",
        '                return _reply(task.start, "noted")\n',
        "simulation",
    ),
    Bug(
        "without a connection the next key is taken",
        "handoff/keys.py",
        "        if outcome.status == 0 or (keys.doubtful and not outcome.from_create):\n",
        "        if keys.doubtful and not outcome.from_create:\n",
        "tests/unit/relay/handing/test_handing.py",
    ),
    Bug(
        "while the store is away nothing is handed on",
        "handing.py",
        "            return await self._without_store(start)\n        if start.copy",
        '            raise StoreUnavailable("the store is away")\n        if start.copy',
        # The simulation finds it as well, and takes minutes: every task is tried for as long as the store is away.
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "a start is acknowledged only once both queues have it",
        "intake.py",
        "while open_ and not any(job.done() and job.result() for job in running):",
        "while open_:",
        "simulation",
        "G7",
        "second",
    ),
    Bug(
        "a lease is as long as a connect window",
        "budgets.py",
        "return self.recall_timeout_ms + LEASE_MARGIN_MS",
        "return self.recall_timeout_ms + 45_000",
        # In the simulated world Recall nearly always has the POST already when the worker crashes, and makes the MDC in time.
        "tests/unit/relay/test_whatever_fails.py",
    ),
    Bug(
        "after two tries it is given up",
        "handoff/attempt.py",
        "return None if attempt.late or now >= last else",
        "return None if attempt.late or number > 1 or now >= last else",
        "simulation",
        "G9",
        "recall",
    ),
    Bug(
        "starts wait among the looks for recordings",
        "intake.py",
        """[("handoffs", "home", None)]
        if "handoffs-second" in self._queues:
            copies.append(("handoffs-second", "second", now + budgets.SECOND_REGION_DELAY_MS))""",
        """[("retrievals", "home", None)]""",
        "rush",
        "G10",
    ),
    Bug(
        "both copies of a start are due late",
        "intake.py",
        """[("handoffs", "home", None)]
        if "handoffs-second" in self._queues:
            copies.append(("handoffs-second", "second", now + budgets.SECOND_REGION_DELAY_MS))""",
        """[("handoffs", "home", now + 12_000), ("handoffs-second", "second", now + 12_000)]""",
        "rush",
        "G10",
    ),
    Bug(
        "the copy in the second region is due 50 seconds later",
        "intake.py",
        "now + budgets.SECOND_REGION_DELAY_MS",
        "now + 10 * budgets.SECOND_REGION_DELAY_MS",
        "simulation",
        "G9",
        "home",
    ),
    Bug(
        "a signature is not compared",
        "zoom.py",
        "hmac.compare_digest(sign(secret, timestamp, body).encode(), signature_bytes)",
        "(hmac.compare_digest(sign(secret, timestamp, body).encode(), signature_bytes) or True)",
        "simulation",
        "G5",
    ),
    Bug(
        "the signature is checked over the first 60 bytes",
        "zoom.py",
        "hmac.compare_digest(sign(secret, timestamp, body).encode(), signature_bytes)",
        "hmac.compare_digest(sign(secret, timestamp, body).encode()[:6], signature_bytes[:6])",
        "simulation",
        "G5",
    ),
    Bug(
        "what a filter returned is taken for the hand-off's own",
        "recordings.py",
        "            if view.handoff in handoffs:\n",
        "            if True:\n",
        "simulation",
        "G8",
    ),
    Bug(
        "a hand-off that expired does not say why",
        "handoff/attempt.py",
        'return move(attempt, "window_past", now, _expiry(attempt, rules))',
        'return move(attempt, "window_past", now, "")',
        "simulation",
        "G1",
    ),
    Bug(
        "a key that may have made something is left at once, unmarked",
        "handoff/keys.py",
        "    if stuck and not keys.skipped:\n        return Keys(number=keys.number + 1, skipped=True)\n",
        "    if not keys.skipped:\n        return Keys(number=keys.number + 1)\n",
        "simulation",
        "G2",
        "recall",
    ),
    Bug(
        "an interruption that names other servers is only noted",
        "intake.py",
        "case zoom.Interrupted() if event.server_urls is not None:",
        "case zoom.Interrupted() if event.server_urls is not None and not event.event_ts:",
        "simulation",
        "G3",
    ),
    Bug(
        "the stop that comes last is the newest",
        "handoff/facts.py",
        "stopped_ts, stop_reason = max((event_ts, -1 if reason is None else reason), (facts.stopped_ts, facts.stop_reason))",
        "stopped_ts, stop_reason = event_ts, -1 if reason is None else reason",
        "simulation",
        "G4",
    ),
    Bug(
        "an older start on the same servers turns their time back",
        "handoff/facts.py",
        "    if start.event_ts <= run.newest_ts or not start.dated:\n",
        "    if not start.dated:\n",
        "simulation",
        "G4",
    ),
    Bug(
        "the reason of a failed try quotes what was sent",
        "handing.py",
        "else recall.excerpt(answer.body)",
        'else f"{recall.excerpt(answer.body)} (Token {settings.recall_api_key})"',
        "simulation",
        "G6",
        "recall",
    ),
    Bug(
        "the Idempotency-Key follows the number of the try",
        "handing.py",
        "answer = await self._api.create(body, idempotency_key(handoff.key, key))",
        "answer = await self._api.create(body, idempotency_key(handoff.key, handoff.attempt.tries))",
        "simulation",
        "G2",
        "recall",
    ),
    Bug(
        "what was copied of a revoked stream stays in the archive",
        "recordings.py",
        '                await self._archive.delete(f"{handoff.key}/")\n',
        "                pass\n",
        "simulation",
        "G8",
    ),
    Bug(
        "the line about a store that is away quotes a secret",
        "handing.py",
        '"store_away", what=str(error), stream=stream_key(start.stream_id))',
        '"store_away", what=f"{error} {self._settings.zoom_client_secret}", stream="")',
        "simulation",
        "G6",
        "store",
    ),
    Bug(
        "the ack waits half a minute for the other queue",
        "budgets.py",
        "ACK_SLACK_MS = 300\n",
        "ACK_SLACK_MS = 30_000\n",
        "simulation",
        "G7",
        "second",
    ),
    Bug(
        "both copies of a start are due when its window is over",
        "intake.py",
        """[("handoffs", "home", None)]
        if "handoffs-second" in self._queues:
            copies.append(("handoffs-second", "second", now + budgets.SECOND_REGION_DELAY_MS))""",
        """[("handoffs", "home", now + 61_000), ("handoffs-second", "second", now + 61_000)]""",
        "simulation",
        "G1'",
    ),
    Bug(
        "nothing is POSTed while the stream is young",
        "handoff/attempt.py",
        '    if attempt.state != "pending":\n        return False\n    if attempt.lease_until is not None and',
        """    if attempt.state != "pending":
        return False
    if attempt.tries == 0 and now < attempt.start_ts + 59_000:
        return Wait(attempt.start_ts + 61_000, "it is young")
    if attempt.lease_until is not None and""",
        "simulation",
        "G1'",
    ),
)
