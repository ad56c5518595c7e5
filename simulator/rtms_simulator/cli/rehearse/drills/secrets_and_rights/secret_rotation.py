"""Secrets are rotated: new versions are deployed, and the vendors change over."""

from dataclasses import replace

from rtms_simulator.cli.rehearse.drill import Drill, Scene
from rtms_simulator.cli.rehearse.program import MADE_UP

CLIENT_SECRET = "rehearsal-client-secret-2"  # noqa: S105  # made up
WEBHOOK_SECRET = "whsec_cmVoZWFyc2FsLXNlY3JldC0yMjIyMjIyMg=="  # noqa: S105  # made up


async def run(scene: Scene) -> None:
    await scene.update()
    await scene.accepted_and_recorded(await scene.meeting())
    both = f"{MADE_UP['recallWebhookSecrets']},{WEBHOOK_SECRET}"
    await scene.update(zoomClientSecret=CLIENT_SECRET, recallWebhookSecrets=both)
    scene.cloud.recall.rotate_workspace_secret(WEBHOOK_SECRET)
    scene.cloud.zoom.apps = tuple(replace(app, client_secret=CLIENT_SECRET) for app in scene.cloud.zoom.apps)
    await scene.accepted_and_recorded(await scene.meeting(), count=2)
    refused = scene.events("delivery_refused")
    scene.holds("no webhook was refused", not refused, [line.get("reason") for line in refused])


DRILL = Drill("Zoom's client secret and Recall's webhook secret are rotated between two meetings.", run)
