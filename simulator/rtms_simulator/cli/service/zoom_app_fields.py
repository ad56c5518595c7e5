"""What `rtmskit zoom-app --json` prints, as types: everything that is entered at Zoom, and what is copied from there."""

from __future__ import annotations

from rtms_simulator.control.answers import Strict


class ZoomSubscription(Strict, frozen=True, kw_only=True):
    """One event subscription. `events`: the names of those to tick."""

    name: str
    method: str
    endpoint_url: str
    events: list[str]


class CopiedFromZoom(Strict, frozen=True, kw_only=True):
    """One value of the app: on which of Zoom's pages it stands, and what it is called in Pulumi's settings and in the environment.

    `encrypt`: whether Pulumi keeps it as a secret.
    """

    value: str
    page: str
    key: str
    variable: str
    encrypt: bool


class ZoomAppFields(Strict, frozen=True, kw_only=True):
    """`scopes`: the names of each heading; `inferred_scopes`: those that the quickstart does not list."""

    app_type: str
    oauth_redirect_url: str
    event_subscription: ZoomSubscription
    scopes: dict[str, list[str]]
    inferred_scopes: list[str]
    copy: list[CopiedFromZoom]
    auto_start_url: str
