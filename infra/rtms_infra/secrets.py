"""The secrets, each readable by exactly the function that needs it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_gcp import cloudfunctionsv2, secretmanager

from rtms_infra.apis import Apis
from rtms_infra.config import Config, Place, Secret
from rtms_infra.identity import Identity

READER = {
    "ZOOM_SECRET_TOKEN": "webhook",
    "ZOOM_SECRET_TOKEN_PREVIOUS": "webhook",
    "RECALL_WEBHOOK_SECRETS": "webhook",
    "ZOOM_CLIENT_SECRET": "worker",
    "RECALL_API_KEY": "worker",
}
"""Environment variable -> the one function that is given it."""

GRACE_DAYS = 7
"""A replaced version is only disabled at first, so that a rotation can be taken back for a week."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A secret in Secret Manager: where it is, and the number of the version in force."""

    variable: str
    secret_id: pulumi.Output[str]
    version: pulumi.Output[str]
    grant: pulumi.Resource


class Secrets(pulumi.ComponentResource):
    """The vendors' secrets in Secret Manager.

    Creates:
        secret-*: one secret, in automatic replication
        version-*: its current value; a new value is a new version with a number of its own
        access-*: lets the one function that needs it read it

    Costs: 0.06 $ per secret and month beyond the first six. They are read when an instance starts, not per request.
    """

    def __init__(self, config: Config, identity: Identity, apis: Apis) -> None:
        super().__init__("rtmskit:infra:Secrets", "secrets")
        values: dict[str, Secret | None] = {
            "ZOOM_SECRET_TOKEN": config.zoom.secret_token,
            "ZOOM_SECRET_TOKEN_PREVIOUS": config.zoom.secret_token_previous,
            "RECALL_WEBHOOK_SECRETS": config.recall.webhook_secrets,
            "ZOOM_CLIENT_SECRET": config.zoom.client_secret,
            "RECALL_API_KEY": config.recall.api_key,
        }
        self._kept = [self._keep(config.place, variable, value, identity, apis) for variable, value in values.items() if value is not None]
        self.register_outputs({})

    def _keep(self, place: Place, variable: str, value: Secret, identity: Identity, apis: Apis) -> Kept:
        short = variable.lower().replace("_", "-")
        secret = secretmanager.Secret(
            f"secret-{short}",
            project=place.project,
            secret_id=f"{place.name}-{short}",
            labels=place.labels,
            replication={"auto": {}},
            version_destroy_ttl=f"{GRACE_DAYS * 86400}s",
            opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("secretmanager")),
        )
        version = secretmanager.SecretVersion(
            f"version-{short}",
            secret=secret.id,
            secret_data=pulumi.Output.secret(value.value),
            # A rotation replaces it: the new version is made and deployed before the old one goes.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
        grant = secretmanager.SecretIamMember(
            f"access-{short}",
            project=place.project,
            secret_id=secret.secret_id,
            role="roles/secretmanager.secretAccessor",
            member=identity.member(READER[variable]),
            opts=pulumi.ResourceOptions(parent=self),
        )
        return Kept(variable, secret.secret_id, version.version, grant)

    def environment(self, role: str, project: str) -> list[cloudfunctionsv2.FunctionServiceConfigSecretEnvironmentVariableArgsDict]:
        """A function's secret variables, pinned to numbered versions: a rotation is a new revision, and can be rolled back."""
        return [
            {"key": secret.variable, "project_id": project, "secret": secret.secret_id, "version": secret.version}
            for secret in self._kept
            if READER[secret.variable] == role
        ]

    @property
    def all_grants(self) -> list[pulumi.Resource]:
        return [secret.grant for secret in self._kept]

    def grants(self, role: str) -> list[pulumi.Resource]:
        """A deploy fails if the function cannot read its secrets yet, so it depends on these."""
        return [secret.grant for secret in self._kept if READER[secret.variable] == role]
