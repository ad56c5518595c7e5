"""Who acts: one service account per role, and what each may do with the records."""

from __future__ import annotations

import re

import pulumi
from pulumi_gcp import projects, serviceaccount

from rtms_infra.apis import Apis
from rtms_infra.config import Place

RECORD_PERMISSIONS = {
    "worker": ("datastore.entities.create", "datastore.entities.get", "datastore.entities.list", "datastore.entities.update"),
}
"""Firestore's IAM page: create-if-absent needs `create`, a preconditioned write `update`, a read `get`, a query `get` and `list`.

Nobody deletes records; Firestore removes those whose `expires_at` has passed. The webhook has no access to them.
"""

_PURPOSE = {
    "webhook": "Runs the public webhook",
    "worker": "Runs the private worker",
    "events": "Calls the worker's /events for the queues of starts and facts",
    "retrieve": "Calls the worker's /retrieve for the queue of retrievals",
    "sweep": "Calls the worker's /sweep for Cloud Scheduler",
    "build": "Builds the functions' images",
}


INVOKERS = {"events": "/events", "retrieve": "/retrieve", "sweep": "/sweep"}
"""Identity -> the one path of the worker that its token opens."""

QUEUE_IDENTITIES = ("events", "retrieve")
"""Identities that tasks carry: who adds a task must be allowed to act as them."""


class Identity(pulumi.ComponentResource):
    """The service accounts, and their rights to the records.

    Creates:
        account-webhook: what the webhook runs as: adds tasks, reads the Zoom Secret Token and Recall's webhook secrets
        account-worker: what the worker runs as: reads and changes records, adds tasks, reads the Recall key and the Zoom Client Secret
        account-events: whose token tasks with starts and facts show to the worker; may do nothing else
        account-retrieve: whose token retrieval tasks show to the worker; may do nothing else
        account-sweep: whose token Cloud Scheduler shows to the worker; may do nothing else
        account-build: what Cloud Build runs as; sees source archives and images, never a recording or a secret
        role-records-*: custom role with exactly the record operations that the function of that name performs
        records-*: grants that role, on the one database only
        act-as-*: lets a function put one of the queues' identities on a task
        build-logs: lets the build write its log
        build-sources: lets the build read the source archives, and no other bucket

    Costs: nothing.
    """

    def __init__(self, place: Place, apis: Apis) -> None:
        super().__init__("rtmskit:infra:Identity", "identity")
        self.accounts = {
            role: serviceaccount.Account(
                f"account-{role}",
                project=place.project,
                account_id=f"{place.name}-{role}",
                display_name=f"{place.name} {role}",
                description=purpose,
                opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("iam", "iamcredentials")),
            )
            for role, purpose in _PURPOSE.items()
        }
        # By itself the bridge takes a grant on the project away before it gives it again, for a new wording of its condition, too.
        lasting = pulumi.ResourceOptions(parent=self, depends_on=apis.before("cloudresourcemanager", "iam"), delete_before_replace=False)
        self.record_grants = [
            self._record_grant(place, role, permissions, apis, lasting) for role, permissions in RECORD_PERMISSIONS.items()
        ]
        self.acting: list[pulumi.Resource] = [
            serviceaccount.IAMMember(
                f"act-as-{identity}-{role}",
                service_account_id=self.accounts[identity].name,
                role="roles/iam.serviceAccountUser",
                member=self.member(role),
                opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("cloudresourcemanager", "iam")),
            )
            for identity in QUEUE_IDENTITIES
            for role in ("webhook", "worker")
        ]
        self.build_grants = self._build_grants(place, lasting)
        self.register_outputs({})

    def _record_grant(
        self, place: Place, role: str, permissions: tuple[str, ...], apis: Apis, lasting: pulumi.ResourceOptions
    ) -> pulumi.Resource:
        custom = projects.IAMCustomRole(
            f"role-records-{role}",
            project=place.project,
            role_id=re.sub(r"-", "_", f"{place.name}_{role}_records"),
            title=f"{place.name} {role}: records",
            description=f"What the {role} does with records, and nothing more.",
            permissions=list(permissions),
            opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("iam", "firestore")),
        )
        return projects.IAMMember(
            f"records-{role}",
            project=place.project,
            role=custom.name,
            member=self.member(role),
            condition={
                "title": "one database",
                "description": f"Only the database {place.name}",
                "expression": f'resource.name == "projects/{place.project}/databases/{place.name}"',
            },
            opts=lasting,
        )

    def _build_grants(self, place: Place, lasting: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        return [
            projects.IAMMember(
                "build-logs",
                project=place.project,
                role="roles/logging.logWriter",
                member=self.member("build"),
                opts=lasting,
            ),
            # Cloud Functions copies our archive to a bucket of its own before it builds; that one does not exist yet, and its name
            # holds the project's number, so the right is granted by prefix.
            projects.IAMMember(
                "build-sources",
                project=place.project,
                role="roles/storage.objectViewer",
                member=self.member("build"),
                condition={
                    "title": "sources only",
                    "description": "Source archives: ours, and the copy that Cloud Functions makes",
                    "expression": 'resource.name.startsWith("projects/_/buckets/gcf-v2-sources-") || '
                    f'resource.name.startsWith("projects/_/buckets/{source_bucket_name(place)}")',
                },
                opts=lasting,
            ),
        ]

    def invokers(self) -> pulumi.Output[str]:
        """Each identity that calls the worker, with the path that it may call, as TASKS_INVOKERS."""
        return pulumi.Output.concat(*(part for name in INVOKERS for part in (f"{name}=", self.email(name), ","))).apply(
            lambda text: text.rstrip(",")
        )

    def email(self, role: str) -> pulumi.Output[str]:
        return self.accounts[role].email

    def member(self, role: str) -> pulumi.Output[str]:
        return self.accounts[role].email.apply("serviceAccount:{}".format)


def source_bucket_name(place: Place) -> str:
    """Bucket names are global, so they begin with the project's id."""
    return f"{place.project}-{place.name}-source"
