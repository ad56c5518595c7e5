"""Consent is withdrawn: everything that was recorded is deleted at Recall, and nothing stays."""

from rtms_simulator.cli.rehearse.drill import Drill, Scene


async def run(scene: Scene) -> None:
    await scene.meeting("revoked", speed=1.0)
    await scene.soon("the revocation is noted", lambda: scene.events("stream_revoked"))
    await scene.soon_as_due("everything is deleted", lambda: scene.events("forgotten"))
    recordings = scene.cloud.recall.workspace.recordings.values()
    artifacts = [artifact.kind for one in recordings for artifact in one.artifacts if artifact.status.code != "deleted"]
    scene.holds("Recall has no artifact left", not artifacts, ", ".join(artifacts))
    records = await scene.records()
    scene.holds("the record says so", [row.retrieval for row in records] == ["forgotten"], [row.retrieval for row in records])


DRILL = Drill("The host withdraws consent while the meeting is recorded.", run)
