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


class Apis(pulumi.ComponentResource):
    """The APIs of the project, each enabled once.

    Creates:
        api-*: enables one Google API; left enabled at tear-down, since others in the project may use it

    Costs: nothing.
    """

    def __init__(self, project: str, extra: tuple[str, ...] = ()) -> None:
        super().__init__("rtmskit:infra:Apis", "apis")
        self._services = {
            api: projects.Service(
                f"api-{api}",
                project=project,
                service=f"{api}.googleapis.com",
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for api in sorted({*ALWAYS, *extra})
        }
        self.register_outputs({})

    def before(self, *apis: str) -> list[pulumi.Resource]:
        """What a user of these APIs depends on."""
        return [self._services[api] for api in apis]
