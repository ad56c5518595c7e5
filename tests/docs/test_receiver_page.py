"""docs/test-your-receiver.md: its code is run by pytest as it stands, and finds what the page says it finds."""

import os
import re
import subprocess
import sys
from pathlib import Path

from rtms_simulator.kit.control.invariants import INVARIANTS

PAGE = (Path(__file__).parents[2] / "docs/test-your-receiver.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
OPTIONS = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio", "-W", "error"]


def pytest_run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_page.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "pytest", *OPTIONS, str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False)


def test_the_receiver_passes_and_its_weakness_is_found_as_shown(tmp_path):
    done = pytest_run(tmp_path, "\n\n".join(BLOCKS))
    assert "2 passed, 1 error" in done.stdout, done.stdout + done.stderr
    shown = re.search(r"^```text\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert shown is not None
    pattern = re.sub(r"[0-9a-f]{32}|46039|[0-9a-f]{16}", "[0-9a-f]+", re.escape(shown[1].strip()).replace("\\ ", " "))
    assert re.search(pattern.replace(" ", r"\s+"), done.stdout), done.stdout


def test_every_invariant_is_on_the_page_in_its_own_words():
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGE, re.MULTILINE)) == dict(INVARIANTS)
