"""The raw configuration, as Pulumi hands it to the program.

`pulumi.Config` answers for one key at a time. To report keys that do not exist, the whole of it is read: the language host puts
it into the environment before it starts the program.
"""

from __future__ import annotations

import hashlib

from pulumi import runtime

from rtms_infra.keys import KEYS


def short_hash(text: str) -> str:
    """Eight hex digits that stand for a text in a resource's name."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def values() -> dict[str, str]:
    """Full name -> text, secrets included; what is not set is left out."""
    names = {"gcp:project", *(key.full_name for key in KEYS), *runtime.get_config_env()}
    texts = {name: runtime.get_config(name) for name in names}
    return {name: value for name, value in texts.items() if value is not None}


def secret_names() -> set[str]:
    """Full names of the values that Pulumi holds encrypted."""
    return {name for name in values() if runtime.is_config_secret(name)}
