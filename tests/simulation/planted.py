"""Twelve bugs that somebody might really write, each as a patch, and what must catch it within CI's budget.

A patch is an exact piece of today's source and its replacement; a piece that is no longer there fails the test that plants it,
so that the list cannot rot. `hunter` is "simulation", "small scope" or the node id of a test.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """One planted bug: in which module of `rtms_relay`, what is replaced by what, and who must find it."""

    name: str
    module: str
    source: str
    instead: str
    hunter: str


BUGS = (
    Bug(
        "the create-if-absent is dropped: a duplicate writes the record anew",
        "records.py",
        """        except AlreadyExists:
            return False
        return True
""",
        """        except AlreadyExists:
            stored = await self._store.get(collection, record.key)
            if stored is not None and collection == "handoffs":
                await self._store.replace(collection, record.key, fields, stored.version)
            return collection == "handoffs"
        return True
""",
        "simulation",
    ),
    Bug(
        "every attempt has a new Idempotency-Key",
        "handoff.py",
        "idempotency_key=handoff.idempotency_key or token,",
        "idempotency_key=token,",
        "simulation",
    ),
    Bug(
        "streams are deduplicated on their id alone, so fail-overs are dropped",
        "handoff.py",
        'return hashlib.sha256(b"%d:%b%d:%b" % (len(first), first, len(second), second)).hexdigest()',
        "return hashlib.sha256(first).hexdigest()",
        "simulation",
    ),
    Bug(
        "the ack goes out although the record is not durable",
        "relay.py",
        """            case zoom.Started():
                return await self._started(event)
""",
        """            case zoom.Started():
                try:
                    return await self._started(event)
                except RelayError:
                    return Reply({"status": "created"})
""",
        "simulation",
    ),
    Bug(
        "a stop cancels whatever its time is, also a start that came after it",
        "handoff.py",
        "stopped = stream.stopped_ts > handoff.event_ts",
        "stopped = stream.stopped_ts > 0",
        "simulation",
    ),
    Bug(
        "a lease never expires",
        "handoff.py",
        "if handoff.lease_until is not None and handoff.lease_until > now:",
        "if handoff.lease_until is not None:",
        "small scope",
    ),
    Bug(
        "the sweep passes over what is pending",
        "relay.py",
        """        kinds.append("handoff")
""",
        """        pass
""",
        "simulation",
    ),
    Bug(
        "a 400 is tried again",
        "recall.py",
        "if status == 408 or status >= 500:",
        "if status in (400, 408) or status >= 500:",
        "tests/unit/relay/test_recall.py",
    ),
    Bug(
        "a download link is kept and given out again",
        "retrieval.py",
        "                    return view.links[name]\n",
        "                    return _KEPT.setdefault((key, name), view.links[name])\n",
        "tests/unit/relay/test_links.py",
    ),
    Bug(
        "a challenge that carries a wrong signature is answered",
        "relay.py",
        "        if zoom.is_signed(headers):\n",
        '        if zoom.is_signed(headers) and b"url_validation" not in body:\n',
        "tests/unit/relay/test_relay.py",
    ),
    Bug(
        "the signature is checked over the body written anew, not over its bytes",
        "zoom.py",
        "hmac.compare_digest(sign(secret, timestamp, body).encode(), given)",
        "hmac.compare_digest(sign(secret, timestamp, msgspec.json.format(body, indent=-1) if body[:1] == b'{' else body).encode(), given)",
        "tests/property/relay/test_authenticity.py",
    ),
    Bug(
        "the client secret is logged with each attempt",
        "relay.py",
        '            "attempt",\n            handoff=key,\n',
        '            "attempt",\n            signed_with=self._settings.zoom_client_secret,\n            handoff=key,\n',
        "simulation",
    ),
)
