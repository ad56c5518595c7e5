"""Which Google APIs the project needs, enabled before anything uses them."""

from __future__ import annotations

import pulumi
from pulumi_gcp import projects

ALWAYS = (
    "artifactregistry",
    "cloudbuild",
    "cloudfunctions",
    "cloudresourcemanager",
    "cloudscheduler",
    "cloudtasks",
    "firestore",
    "iam",
    "iamcredentials",
    "logging",
    "monitoring",
    "run",
    "secretmanager",
    "storage",
)

FIRST = "cloudresourcemanager"
"""Each enabled API, once created, asks this one for the project. `serviceusage`, which enables, is given (docs/deploy.md)."""


class Apis(pulumi.ComponentResource):
    """The APIs of the project, each enabled once.

    Creates:
        api-*: enables one Google API; left enabled at tear-down, since others in the project may use it

    Costs: nothing.
    """

    def __init__(self, project: str, extra: tuple[str, ...] = ()) -> None:
        super().__init__("rtmskit:infra:Apis", "apis")
        first = self._service(project, FIRST, [])
        self._services = {FIRST: first} | {api: self._service(project, api, [first]) for api in sorted({*ALWAYS, *extra} - {FIRST})}
        self.register_outputs({})

    def _service(self, project: str, api: str, after: list[projects.Service]) -> projects.Service:
        return projects.Service(
            f"api-{api}",
            project=project,
            service=f"{api}.googleapis.com",
            disable_on_destroy=False,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    def before(self, *apis: str) -> list[pulumi.Resource]:
        """What a user of these APIs depends on."""
        return [self._services[api] for api in apis]
