"""What `serve` and `doctor` read from a file of variables and the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rtms_simulator.cli.play.outcome import BadInput

ENV_FILE = Path(".env")


def variables(env_file: Path | None) -> Mapping[str, str]:
    """The file's variables, and over them our own. Raises BadInput."""
    from rtms_simulator.kit.serve.env_file import EnvFileError, read_env_file

    if env_file is None and not ENV_FILE.exists():
        return dict(os.environ)
    try:
        named = read_env_file(env_file or ENV_FILE)
    except EnvFileError as error:
        raise BadInput(str(error), "correct it; `rtmskit serve --init` writes a template.") from None
    return {**named, **{name: value for name, value in os.environ.items() if value}}
