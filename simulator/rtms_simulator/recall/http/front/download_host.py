"""The host that media links name: links to an artifact's files, and what a link opens."""

from __future__ import annotations

import random
from collections.abc import Callable

from rtms_simulator.clock import Clock
from rtms_simulator.recall.http.downloads import NO_SUCH_KEY, LinkRefusal, LinkSigner
from rtms_simulator.recall.http.exchange import ApiRequest, ApiResponse
from rtms_simulator.recall.http.operations import ROOT
from rtms_simulator.recall.http.render import PARTS_FILE, Link, parts_file
from rtms_simulator.recall.records.workspace import Artifact, Workspace
from rtms_simulator.recall.switches import RecallSwitches

BUCKET = "/_workspace-"
API_DOWNLOADS = f"{ROOT}/download/"


class DownloadHost:
    """Makes links with `signer` and serves what they open. Random tokens come from `randomness`."""

    def __init__(
        self, clock: Clock, workspace: Workspace, switches: Callable[[], RecallSwitches], signer: LinkSigner, randomness: random.Random
    ) -> None:
        self._clock = clock
        self._workspace = workspace
        self._switches = switches
        self._signer = signer
        self._randomness = randomness

    def linker(self, origin: str) -> Link:
        """Makes a fresh link on `origin` to one of an artifact's files."""
        switches = self._switches()
        expires = int(self._clock.now() + switches.link_s)

        def link(artifact: Artifact, name: str) -> str:
            path = f"{BUCKET}{self._workspace.id}/recordings/{artifact.recording_id}/{artifact.kind}/{artifact.id}/{name}"
            token = self._randomness.randbytes(12).hex()
            if switches.json_links == "api" and name.endswith(".json"):
                stem = name.removesuffix(".json")
                return f"{origin}{API_DOWNLOADS}{stem}?token={self._signer.api_token(path, expires=expires, token=token)}"
            return self._signer.url(origin, path, expires=expires, token=token)

        return link

    def opened(self, request: ApiRequest) -> str | LinkRefusal:
        """The key of the bucket that a request's link opens, or why it opens none."""
        now = self._clock.now()
        if not request.path.startswith(BUCKET):
            return self._signer.judge_api_token(request.parameters.get("token", ""), now=now)
        authorization = request.headers.get("authorization")
        refusal = self._signer.judge(request.method, request.path, request.parameters, authorization=authorization, now=now)
        return request.path if refusal is None else refusal

    def stored(self, path: str, origin: str) -> ApiResponse:
        """The file at a key of the bucket."""
        missing = ApiResponse.xml(NO_SUCH_KEY.status, NO_SUCH_KEY.xml())
        _, _, _, recording_id, _, identity, name = path.split("/", 6)
        recording = self._workspace.recordings.get(recording_id)
        artifact = next((one for one in recording.artifacts if one.id == identity), None) if recording else None
        if artifact is None or artifact.status.code != "done":
            return missing
        if name == PARTS_FILE:
            return ApiResponse.json(200, parts_file(artifact, self.linker(origin)))
        file = artifact.files.get(name)
        return missing if file is None or not file.exists() else ApiResponse(200, file=file)
