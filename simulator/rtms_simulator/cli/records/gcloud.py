"""The identity token of the person who is signed in with `gcloud`."""

from __future__ import annotations

import os
import shutil
import subprocess

from rtms_simulator.cli.play.outcome import BadInput

WAIT_S = 30.0


def identity_token() -> str:
    """The token, or "" if gcloud is not installed. Raises BadInput if it is and gives none."""
    program = shutil.which("gcloud")
    if program is None:
        return ""
    command = [program, "auth", "print-identity-token", "--quiet"]
    try:
        done = subprocess.run(  # noqa: S603  # the program that PATH names, with fixed words
            command, capture_output=True, text=True, timeout=WAIT_S, check=False, env=os.environ | {"CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BadInput(f"`gcloud auth print-identity-token` failed: {error}", "pass a token with --token.") from None
    token = done.stdout.strip()
    if done.returncode != 0 or not token:
        reason = " ".join(done.stderr.split())[:300] or f"it ended with {done.returncode}"
        raise BadInput(f"gcloud gives no identity token: {reason}", "sign in with `gcloud auth login`, or pass a token with --token.")
    return token
