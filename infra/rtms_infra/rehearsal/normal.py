"""What Google gives back in other words than it was given, and which differences the provider overlooks: one table, with sources.

After each creation and update the provider reads the resource, so the state holds Google's words. The next `pulumi up` compares them
with the program's: a difference that is not ignored is shown again and again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Normal:
    """One property. `stored`: what Google gives back for what it was given. `same`: whether the provider overlooks the difference of
    what is stored and what the program says. `source`: who says so."""

    stored: Callable[[Any], Any]
    same: Callable[[Any, Any], bool]
    source: str


def _equal(stored: Any, value: Any) -> bool:
    return stored == value


def _unchanged(value: Any) -> Any:
    return value


def _without_zeros(value: Any) -> Any:
    """Protocol buffers as JSON leave out zeros, empty texts, false and empty lists."""
    if isinstance(value, Mapping):
        fields = {key: _without_zeros(item) for key, item in value.items()}
        return {key: item for key, item in fields.items() if item not in (0, "", False, [], None)}
    return [_without_zeros(item) for item in value] if isinstance(value, list) else value


def _dashboard(text: Any) -> str:
    page = {"name": "projects/123456789012/dashboards/0", "etag": "1", **_without_zeros(msgspec.json.decode(text))}
    return msgspec.json.encode(page, order="sorted").decode()


def _holds(stored: Any, value: Any) -> bool:
    """Whether everything given is stored: what Google adds is overlooked, what it drops is not."""
    if isinstance(value, Mapping):
        return isinstance(stored, Mapping) and all(key in stored and _holds(stored[key], item) for key, item in value.items())
    if isinstance(value, list):
        return isinstance(stored, list) and len(stored) == len(value) and all(map(_holds, stored, value))
    return bool(stored == value)


def _same_dashboard(stored: Any, value: Any) -> bool:
    return _holds(msgspec.json.decode(stored), msgspec.json.decode(value))


def _with_execution_id(value: Any) -> Any:
    return {**value, "LOG_EXECUTION_ID": "true"}


def _without_execution_id(stored: Any, value: Any) -> bool:
    return {k: v for k, v in stored.items() if k != "LOG_EXECUTION_ID"} == {k: v for k, v in value.items() if k != "LOG_EXECUTION_ID"}


def _whole_seconds(value: Any) -> Any:
    return f"{int(float(str(value).removesuffix('s')))}s"


NORMAL: Mapping[tuple[str, str], Normal] = {
    ("Dashboard", "dashboardJson"): Normal(
        _dashboard,
        _same_dashboard,
        "terraform-provider-google #16173, #24650; resource_monitoring_dashboard.go: fields that Google adds are ignored",
    ),
    ("Function", "serviceConfig.environmentVariables"): Normal(
        _with_execution_id, _without_execution_id, "mmv1/products/cloudfunctions2/Function.yaml: LOG_EXECUTION_ID is ignored"
    ),
    ("Queue", "retryConfig.minBackoff"): Normal(_whole_seconds, _equal, "Cloud Tasks docs, RetryConfig: truncated to the nearest second"),
    ("Queue", "retryConfig.maxBackoff"): Normal(_whole_seconds, _equal, "Cloud Tasks docs, RetryConfig: truncated to the nearest second"),
    ("Queue", "retryConfig.maxRetryDuration"): Normal(
        lambda value: "" if value == "0s" else value,
        lambda stored, value: stored == value or (stored == "" and value == "0s"),
        "resource_cloud_tasks_queue.go: suppressOmittedMaxDuration",
    ),
    ("Bucket", "location"): Normal(
        lambda value: str(value).upper(),
        lambda stored, value: str(stored).upper() == str(value).upper(),
        "resource_storage_bucket.go: compared without regard to case",
    ),
    ("AlertPolicy", "conditions"): Normal(
        _unchanged, lambda stored, value: _without_zeros(stored) == _without_zeros(value), "a threshold of 0 is left out of the request"
    ),
    ("Repository", "format"): Normal(
        lambda value: str(value).upper(),
        lambda stored, value: str(stored).upper() == str(value).upper(),
        "resource_artifact_registry_repository.go: compared without regard to case",
    ),
}
"""(last part of the type, property) -> how it comes back. What is not listed comes back as it was given."""


def stored(kind: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs in Google's words."""
    return {name: _stored(kind, name, value) for name, value in inputs.items()}


def _stored(kind: str, path: str, value: Any) -> Any:
    if (kind, path) in NORMAL:
        return NORMAL[kind, path].stored(value)
    if isinstance(value, Mapping) and "$secret" not in value:
        return {name: _stored(kind, f"{path}.{name}", item) for name, item in value.items()}
    return value


def differences(kind: str, current: Any, inputs: Any, path: str = "") -> set[str]:
    """Dotted paths (without list indices) in which what the program says differs from what is held, for what nobody overlooks."""
    if (kind, path) in NORMAL and None not in (current, inputs):
        return set() if NORMAL[kind, path].same(current, inputs) else {path}
    if _open_mapping(current) and _open_mapping(inputs):
        below = f"{path}." if path else ""
        return set().union(*(differences(kind, current.get(name), inputs.get(name), below + name) for name in {*current, *inputs}))
    if _as_long_lists(current, inputs):
        return set().union(*(differences(kind, one, other, path) for one, other in zip(current, inputs, strict=True)))
    return set() if current == inputs else {path}


def _as_long_lists(one: Any, other: Any) -> bool:
    return isinstance(one, list) and isinstance(other, list) and len(one) == len(other)


def _open_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and "$secret" not in value
