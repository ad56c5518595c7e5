"""The pages of the documentation that messages name, by their address: who installed the package has no folder docs/."""

from __future__ import annotations

PAGES = "https://github.com/rtmskit/rtmskit/blob/main/docs"
RUNBOOK = f"{PAGES}/runbook.md"
