"""The process of a tunnel through ngrok: ``python -m rtms_simulator.kit.serve.ngrok_tunnel PORT [DOMAIN]``.

A process of its own, so that its end can be seen and it can be started again. It prints ``url https://...`` when the tunnel is there, and
ends when it is not. The token stands in NGROK_AUTHTOKEN (ngrok docs, "ngrok Python SDK").
"""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

TOKEN = "NGROK_AUTHTOKEN"  # noqa: S105 - the variable's name
UNUSABLE = 2


def main(arguments: list[str]) -> None:
    import ngrok

    token = os.environ.get(TOKEN, "")
    if not token:
        _end(f"{TOKEN} is not set: copy the token from https://dashboard.ngrok.com/get-started/your-authtoken", UNUSABLE)
    port, *domain = arguments
    forward: Any = ngrok.forward
    options = {"authtoken": token, **({"domain": domain[0]} if domain else {})}
    try:
        listener = forward(f"127.0.0.1:{port}", **options)
    except Exception as error:  # noqa: BLE001 - whatever ngrok raises is reported in one line, without the token
        _end(f"ngrok: {' '.join(str(error).replace(token, '[token]').split())}", 1)
    sys.stdout.write(f"url {listener.url()}\n")
    sys.stdout.flush()
    threading.Event().wait()


def _end(why: str, code: int) -> None:
    sys.stderr.write(f"{why}\n")
    raise SystemExit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
