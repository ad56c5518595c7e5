"""Makes tests/unit/simulator/golden/worker.json: answers of the real worker after one meeting. Run `python -m tests.golden_worker`."""

import json
import tempfile
from pathlib import Path

import httpx

from tests.e2e.processes import rtmskit, up

GOLDEN = Path(__file__).parent / "unit/simulator/golden/worker.json"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, up(Path(folder), "--seed", "7") as running:
        assert rtmskit("meeting", "play", "--speed", "max", cwd=running.cwd).returncode == 0
        worker = running.described["worker_url"]
        bearer = {"Authorization": f"Bearer {running.described['worker_token']}"}
        for _ in range(200):
            page = httpx.get(f"{worker}/recordings", headers=bearer).json()
            if page["recordings"] and page["recordings"][0]["retrieval"] == "done":
                break
        one = httpx.get(f"{worker}/recordings/{page['recordings'][0]['id']}", headers=bearer).json()
        missing = httpx.get(f"{worker}/recordings/{'b' * 64}", headers=bearer)
        GOLDEN.parent.mkdir(exist_ok=True)
        answers = {"page": page, "one": one, "missing": {"status": missing.status_code, "body": missing.json()}}
        GOLDEN.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
