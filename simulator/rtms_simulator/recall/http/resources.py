"""What each operation does with MDCs, recordings, artifacts and real-time endpoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtms_simulator.recall.http.exchange import NOT_FOUND, ApiRequest, ApiResponse
from rtms_simulator.recall.http.front.download_host import DownloadHost
from rtms_simulator.recall.http.lists import listed, metadata_matches, part_matches, recording_matches
from rtms_simulator.recall.http.operations import Operation
from rtms_simulator.recall.http.render import Link, artifact_object, endpoint_object, mdc_object, recording_object
from rtms_simulator.recall.http.schemas.schema import RequestContext, problems
from rtms_simulator.recall.records.lifecycle import Lifecycle
from rtms_simulator.recall.records.workspace import Artifact, Mdc, RealtimeEndpoint, Recording, Workspace
from rtms_simulator.recall.switches import RecallSwitches


class Resources:
    """The operations on one workspace. `region` stands in the texts of a 400."""

    def __init__(
        self,
        workspace: Workspace,
        lifecycle: Lifecycle,
        downloads: DownloadHost,
        switches: Callable[[], RecallSwitches],
        *,
        region: str,
    ) -> None:
        self._workspace = workspace
        self._lifecycle = lifecycle
        self._downloads = downloads
        self._switches = switches
        self._region = region
        self._performers = {
            "meeting_direct_connect": self._on_mdc,
            "recording": self._on_recording,
            "realtime_endpoint": self._on_endpoint,
        }

    def perform(self, request: ApiRequest, operation: Operation, identity: str | None) -> ApiResponse:
        """The answer of one operation; `identity` is the `{id}` of its path."""
        return self._performers.get(operation.resource, self._on_artifact)(request, operation, identity)

    def _on_mdc(self, request: ApiRequest, operation: Operation, identity: str | None) -> ApiResponse:
        switches, link = self._switches(), self._downloads.linker(request.origin)

        def show(mdc: Mdc) -> dict[str, Any]:
            return mdc_object(mdc, self._workspace.visible_recording(mdc), link, switches)

        if operation.method == "POST":
            return self._refusal(operation, request) or ApiResponse.json(201, show(self._lifecycle.create(request.decoded.value)))
        if identity is None:
            mdcs = [mdc for mdc in self._workspace.mdcs.values() if self._mdc_matches(mdc, request)]
            if switches.mdc_list == "bare_array":
                return ApiResponse.json(200, [show(mdc) for mdc in reversed(mdcs)])
            return listed(request, operation, mdcs, show, page_size=switches.page_size)
        mdc = self._workspace.mdcs.get(identity)
        if mdc is None:
            return NOT_FOUND
        self._lifecycle.polled(mdc)
        return ApiResponse.json(200, show(mdc))

    def _mdc_matches(self, mdc: Mdc, request: ApiRequest) -> bool:
        return not self._switches().mdc_list_metadata_filter or metadata_matches(mdc.body.get("metadata") or {}, request)

    def _on_recording(self, request: ApiRequest, operation: Operation, identity: str | None) -> ApiResponse:
        link = self._downloads.linker(request.origin)
        if identity is None:
            return self._list_recordings(request, operation, link)
        recording = self._workspace.recordings.get(identity)
        if recording is None or not self._visible(recording):
            return NOT_FOUND
        if operation.method == "POST":
            return self._on_create_transcript(request, operation, recording, link)
        if operation.method == "DELETE":
            if recording.status.code in ("processing", "paused") and self._switches().delete_while_processing == "refuse":
                return ApiResponse.detail(400, "cannot_delete_unfinished_recording", "The recording is still being made.")
            self._lifecycle.delete_recording(recording)
            return ApiResponse(204)
        if operation.method == "PATCH":
            return self._patched(request, operation, recording) or ApiResponse.json(200, recording_object(recording, link))
        self._lifecycle.polled(self._workspace.mdcs[recording.mdc_id])
        return ApiResponse.json(200, recording_object(recording, link))

    def _list_recordings(self, request: ApiRequest, operation: Operation, link: Link) -> ApiResponse:
        switches = self._switches()
        unfiltered = switches.recording_list_filters == "ignored"
        visible = filter(self._visible, self._workspace.recordings.values())
        recordings = [recording for recording in visible if unfiltered or recording_matches(recording, request)]
        return listed(request, operation, recordings, lambda recording: recording_object(recording, link), page_size=switches.page_size)

    def _visible(self, thing: Recording | Artifact) -> bool:
        """Whether it is still to be seen, as far as deletion goes."""
        return self._switches().shows(thing.status.code)

    def _on_create_transcript(self, request: ApiRequest, operation: Operation, recording: Recording, link: Link) -> ApiResponse:
        refusal = self._refusal(operation, request)
        if refusal is not None:
            return refusal
        if recording.status.code != "done":
            text = f"The recording is {recording.status.code}; a transcript needs one that is done."
            return ApiResponse.detail(400, "recording_not_done", text)
        artifact = self._lifecycle.create_transcript(recording, request.decoded.value)
        return ApiResponse.json(200, artifact_object(artifact, recording, link))

    def _on_artifact(self, request: ApiRequest, operation: Operation, identity: str | None) -> ApiResponse:
        link, kind = self._downloads.linker(request.origin), operation.resource

        def show(artifact: Artifact) -> dict[str, Any]:
            return artifact_object(artifact, self._workspace.recordings[artifact.recording_id], link)

        artifacts = [one for one in self._workspace.artifacts() if one.kind == kind and self._visible(one)]
        if identity is None:
            matching = [artifact for artifact in artifacts if part_matches(artifact, request)]
            return listed(request, operation, matching, show, page_size=self._switches().page_size)
        artifact = next((one for one in artifacts if one.id == identity), None)
        return NOT_FOUND if artifact is None else self._on_one_artifact(request, operation, artifact, show)

    def _on_one_artifact(
        self, request: ApiRequest, operation: Operation, artifact: Artifact, show: Callable[[Artifact], dict[str, Any]]
    ) -> ApiResponse:
        if operation.method == "DELETE":
            self._lifecycle.delete_artifact(artifact)
            return ApiResponse(204)
        refusal = self._patched(request, operation, artifact) if operation.method == "PATCH" else None
        return refusal or ApiResponse.json(200, show(artifact))

    def _on_endpoint(self, request: ApiRequest, operation: Operation, identity: str | None) -> ApiResponse:
        def show(endpoint: RealtimeEndpoint) -> dict[str, Any]:
            return endpoint_object(endpoint, self._workspace.recordings[endpoint.recording_id])

        endpoints = list(self._workspace.endpoints())
        if identity is None:
            kind = request.parameters.get("type")
            matching = [one for one in endpoints if part_matches(one, request) and (kind is None or one.type == kind)]
            return listed(request, operation, matching, show, page_size=self._switches().page_size)
        endpoint = next((one for one in endpoints if one.id == identity), None)
        if endpoint is None:
            return NOT_FOUND
        refusal = self._patched(request, operation, endpoint) if operation.method == "PATCH" else None
        return refusal or ApiResponse.json(200, show(endpoint))

    def _patched(self, request: ApiRequest, operation: Operation, thing: Recording | Artifact | RealtimeEndpoint) -> ApiResponse | None:
        refusal = self._refusal(operation, request)
        if refusal is None and "metadata" in request.decoded.value:
            thing.metadata = dict(request.decoded.value["metadata"])
        return refusal

    def _refusal(self, operation: Operation, request: ApiRequest) -> ApiResponse | None:
        """The 400 of a body that does not fit the operation; None when it does."""
        assert operation.body is not None
        errors = problems(operation.body, request.decoded.value, RequestContext(operation.id, self._region))
        return None if errors is None else ApiResponse.json(400, errors)
