"""An app as Zoom's documentation tells people to write one, on Zoom's own unmodified `rtms` package. Runs in a process of its own.

`python sdk_app.py CONFIG_FILE REPORT_FD`: serves the package's webhook handler on a free loopback port, joins every stream it hears of, and
writes one JSON line per call-back to REPORT_FD. Media call-backs are counted and hashed; their totals come with `left`. The config is
read again at each rtms_started: {"media": {kind: params}, "watch": bool, "events": [names of call-backs to register]}.
"""

import asyncio
import hashlib
import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import HTTPServer
from pathlib import Path
from typing import Any

rtms: Any = importlib.import_module("rtms")  # native, and its stubs lack half of it

PARAMS = {
    "audio": (rtms.AudioParams, "set_audio_params", "on_audio_data", "enable_audio"),
    "video": (rtms.VideoParams, "set_video_params", "on_video_data", "enable_video"),
    "deskshare": (rtms.DeskshareParams, "set_deskshare_params", "on_deskshare_data", "enable_deskshare"),
    "transcript": (rtms.TranscriptParams, "set_transcript_params", "on_transcript_data", "enable_transcript"),
}


@dataclass
class Total:
    packets: int = 0
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    users: set[str] = field(default_factory=set)

    def add(self, raw: bytes, user: str) -> None:
        self.packets += 1
        self.size += len(raw)
        self.digest.update(raw)
        self.users.add(user)


@dataclass
class Totals:
    """What one client got, by kind of media."""

    kinds: dict[str, Total] = field(default_factory=dict)

    def plain(self) -> dict[str, dict[str, Any]]:
        return {
            kind: {"packets": total.packets, "bytes": total.size, "sha256": total.digest.hexdigest(), "users": sorted(total.users)}
            for kind, total in self.kinds.items()
        }


class Client(rtms.Client):
    """Does what a call-back asks for after the poll that called it: the package blocks for ever when asked inside a call-back."""

    def __init__(self) -> None:
        super().__init__()
        self.todo: list[tuple[Callable[..., object], tuple[object, ...]]] = []
        self.totals = Totals()

    def afterwards(self, act: Callable[..., object], *args: object) -> None:
        self.todo.append((act, args))

    def poll(self) -> None:
        super().poll()
        while self.todo:
            act, args = self.todo.pop(0)
            act(*args)


class App:
    def __init__(self, config: Path, report: int, started: Callable[[dict[str, Any]], object]) -> None:
        self.config = config
        self.started = started
        self.report = os.fdopen(report, "w", buffering=1)
        self.lock = threading.Lock()
        self.clients: list[Client] = []

    def say(self, callback: str, *args: object, **more: object) -> None:
        with self.lock:
            self.report.write(json.dumps({"callback": callback, "args": args, **more}, default=str) + "\n")

    def webhook(self, payload: dict[str, Any]) -> None:
        self.say("on_webhook_event", payload["event"])
        if payload["event"].endswith("rtms_started"):
            self.started(payload["payload"])

    def join(self, payload: dict[str, Any]) -> None:
        asked = json.loads(self.config.read_text())
        stream = payload["rtms_stream_id"]
        client = Client()

        def say(callback: str, *args: object, **more: object) -> None:
            self.say(callback, *args, stream=stream, **more)

        def data(kind: str) -> Callable[..., None]:
            total, callback = client.totals.kinds.setdefault(kind, Total()), PARAMS[kind][2]

            def on_data(data: bytes, size: int, timestamp: int, metadata: Any) -> None:
                raw = data if isinstance(data, bytes) else str(data).encode()
                if total.packets == 0:
                    say(callback, size, timestamp, metadata.userName, metadata.userId)
                total.add(raw, metadata.userName)

            return on_data

        for kind, params in asked["media"].items():
            make, set_params, callback, enable = PARAMS[kind]
            getattr(client, enable)(True)
            if params is not None:
                getattr(client, set_params)(make(**params))
            getattr(client, callback)(data(kind))

        def on_leave(reason: int) -> None:
            say("on_leave", reason, totals=client.totals.plain())
            # The package reports a broken connection only 10 s later, so nobody waits for that one's on_leave.
            say("totals", [every.totals.plain() for every in self.clients])

        def on_participant_video(users: list[int], on: bool) -> None:
            say("on_participant_video", users, on)
            if on and asked.get("watch"):
                client.afterwards(client.subscribe_video, users[0], True)

        def on_join_confirm(reason: int) -> None:
            say("on_join_confirm", reason)
            if reason == 0 and asked.get("events", True):
                # The package subscribes by itself only to what it has native call-backs for; inside one it would block.
                client.afterwards(client.subscribe_event, [rtms.EVENT_SHARING_START, rtms.EVENT_SHARING_STOP])

        client.on_join_confirm(on_join_confirm)
        client.on_leave(on_leave)
        client.on_session_update(lambda op, session: say("on_session_update", op, session.isActive, session.isPaused))
        client.on_user_update(lambda op, person: say("on_user_update", op, person.id, person.name))
        if asked.get("events", True):
            client.on_participant_video(on_participant_video)
            client.on_video_subscribed(lambda user, status, error: say("on_video_subscribed", user, status, error))
            client.on_participant_event(lambda event, _at, people: say("on_participant_event", event, people))
            client.on_active_speaker_event(lambda _at, user, name: say("on_active_speaker_event", user, name))
            client.on_sharing_event(lambda event, _at, user, name: say("on_sharing_event", event, user, name))
            client.on_media_connection_interrupted(lambda at: say("on_media_connection_interrupted", at))
            client.on_event_ex(lambda raw: say("on_event_ex", json.loads(raw)))
        self.clients.append(client)
        client.join(payload)


async def serve() -> None:
    """The package's own pattern for asyncio: its loop, and whatever makes clients, on one thread.

    A client that is made on the webhook's thread while the loop's thread lets another one go can block the whole interpreter for ever.
    """
    here, started = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any]]()
    app = App(Path(sys.argv[1]), int(sys.argv[2]), lambda payload: here.call_soon_threadsafe(started.put_nowait, payload))
    server = HTTPServer(("127.0.0.1", 0), rtms.WebhookHandler)
    vars(server).update(webhook_callback=app.webhook, webhook_path="/")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    app.say("listening", f"http://127.0.0.1:{server.server_port}/")
    threading.Thread(target=end_with_parent, daemon=True).start()

    async def join_each() -> None:
        while True:
            app.join(await started.get())

    # Whichever of the two fails ends the app, so that no test waits for one that is only half alive.
    await asyncio.gather(rtms.run_async(poll_interval=0.001), join_each())


def end_with_parent() -> None:
    """The test closes our standard input when it is done."""
    sys.stdin.read()
    os._exit(0)


asyncio.run(serve())
