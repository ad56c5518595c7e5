"""Makes tests/unit/simulator/golden/worker.json: answers of the real worker after one meeting. Run `python -m tests.golden_worker`.

tests/e2e/test_up.py compares their fields with what the worker answers now.
"""

import json
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.processes import Up, rtmskit, up

GOLDEN = Path(__file__).parent / "unit/simulator/golden/worker.json"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def answers(running: Up, within_s: float = 30) -> dict[str, Any]:
    """Plays one meeting, and what the worker says of it once its recording is retrieved. There must be no other hand-off."""
    played = rtmskit("meeting", "play", "--speed", "max", cwd=running.cwd)
    assert played.returncode == 0, played.stderr
    bearer = {"Authorization": f"Bearer {running.described['worker_token']}"}
    with httpx.Client(base_url=running.described["worker_url"], headers=bearer) as worker:
        give_up = time.monotonic() + within_s
        while True:
            page = worker.get("/recordings").json()
            if [row["retrieval"] for row in page["recordings"]] == ["done"]:
                break
            assert time.monotonic() < give_up, page
            time.sleep(0.1)
        one = worker.get(f"/recordings/{page['recordings'][0]['id']}").json()
        missing = worker.get(f"/recordings/{'b' * 64}")
    return {"page": page, "one": one, "missing": {"status": missing.status_code, "body": missing.json()}}


def fields(value: Any) -> Any:
    """The names and types of an answer, without its values; links are by the id of their recording."""
    if isinstance(value, dict):
        return {_ID.sub("ID", name): fields(one) for name, one in value.items()}
    return [fields(one) for one in value] if isinstance(value, list) else type(value).__name__


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, up(Path(folder), "--seed", "7") as running:
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(answers(running), indent=1) + "\n")


if __name__ == "__main__":
    main()
