"""What `pulumi up` runs."""

from pathlib import Path

import pulumi

from rtms_infra.config import ConfigError, parse
from rtms_infra.source import SourceError
from rtms_infra.stack import deploy
from rtms_infra.values import secret_names, values

root = Path(__file__).resolve().parent.parent
try:
    config = parse(values(), secret_names(), pulumi.get_stack())
    outputs = deploy(config, root / "function", root / "build")
except (ConfigError, SourceError) as error:
    raise pulumi.RunError(str(error)) from None
for name, value in outputs.items():
    pulumi.export(name, value)
