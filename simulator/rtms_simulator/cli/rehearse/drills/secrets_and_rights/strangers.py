"""Anybody can reach the webhook: what comes without a signature is refused, changes nothing and pages nobody. Nobody reaches the worker."""

import httpx

from rtms_simulator.cli.rehearse.drill import Drill, Scene

MINUTES, FIRES = 12, {"challenge": 60.0}
STRANGER = "stranger@somewhere-else.iam.gserviceaccount.com"
CHALLENGE = {"event": "endpoint.url_validation", "payload": {"plainToken": "a-token"}}
FORGED = {"x-zm-signature": "v0=" + "0" * 64, "x-zm-request-timestamp": "1700000000"}


async def run(scene: Scene) -> None:
    await scene.accepted_and_recorded(await scene.meeting())
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
        # Once: with a signature, even a forged one, more of them are the alert `signed-refused`.
        statuses = {(await client.post(scene.cloud.webhook_url, json=CHALLENGE, headers=FORGED)).status_code}
    for _ in range(MINUTES):
        statuses |= await noise(scene.cloud.webhook_url)
        await scene.pass_time(60.0)
    scene.holds("each request without a signature is refused", statuses and not statuses & {200, 500}, sorted(statuses))
    scene.holds("one hand-off is on record", len(await scene.records()) == 1)
    severities = {page.severity for page in scene.cloud.watch.monitoring.pages if page.policy in FIRES}
    scene.holds("what a stranger sets off is a ticket at most", severities <= {"WARNING"}, sorted(severities))
    for internal, where in ((False, "from the internet"), (True, "from inside the project")):
        for account, who in (("", "without a token"), (STRANGER, "with a stranger's token")):
            answer = await scene.asked("worker", "POST", "/sweep", account, internal=internal)
            closed = answer.status in (401, 403, 404) and not answer.reached
            scene.holds(f"the worker's door is closed {where} {who}", closed, f"{answer.status}{', by the worker' * answer.reached}")


async def noise(url: str) -> set[int]:
    """What scanners send."""
    event = {"event": "meeting.rtms_started", "payload": {"rtms_stream_id": "forged", "server_urls": "wss://127.0.0.1:9"}}
    async with httpx.AsyncClient(trust_env=False, timeout=30.0) as client:
        answers = [await client.post(url, json=body) for body in (event, {})]
        answers.append(await client.post(url, content=b"\xff not JSON"))
    return {answer.status_code for answer in answers}


DRILL = Drill("Strangers send to the webhook and the worker what they can.", run, fires=FIRES, may=frozenset({"worker-refuses"}))
