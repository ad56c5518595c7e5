"""Deploys of new code from GitHub Actions, without a key that could leak."""

from __future__ import annotations

import pulumi
from pulumi_gcp import iam, projects, serviceaccount, storage

from rtms_infra.apis import Apis
from rtms_infra.config import GitHub, Place
from rtms_infra.functions import Source
from rtms_infra.identity import Identity

ISSUER = "https://token.actions.githubusercontent.com"


class Deploys(pulumi.ComponentResource):
    """An identity that a workflow of one repository, on one ref, may use to redeploy the functions' code.

    It cannot grant rights or change secrets by itself. The code that it deploys runs as the webhook and the worker, so all who can push to
    that ref can read whatever those two can: both functions' secrets, the records, the archive (docs/upgrade.md).

    Creates:
        account-deployer: what the workflow acts as
        pool: trusts GitHub's tokens
        provider: of one repository, held to its owner's number and to one ref
        deployer-github: lets that repository's workflows be the deployer
        deployer-functions: lets it update functions
        deployer-sources: lets it put source archives into the source bucket
        deployer-act-as-*: lets it deploy code that runs, or is built, as that account

    Costs: nothing.
    """

    def __init__(self, place: Place, config: GitHub, identity: Identity, source: Source, apis: Apis) -> None:
        super().__init__("rtmskit:infra:Deploys", "deploys")
        opts = pulumi.ResourceOptions(parent=self, depends_on=apis.before("iam", "iamcredentials", "sts", "cloudresourcemanager"))
        # Google blocks the id of a deleted pool for 30 days and nothing undeletes it: Pulumi never deletes it.
        pool_opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(retain_on_delete=True))
        account = serviceaccount.Account(
            "account-deployer",
            project=place.project,
            account_id=f"{place.name}-deployer",
            display_name=f"{place.name} deployer",
            description="Deploys new code from GitHub Actions",
            opts=opts,
        )
        provider, pool_name = _trust(place, config, pool_opts)
        self.provider = provider.name
        self.account = account.email
        if config.deploys:
            member = account.email.apply("serviceAccount:{}".format)
            self._let_github_in(config, account, pool_name, provider)
            self._let_deploy(place, identity, source, member, opts)
        self.register_outputs({"provider": self.provider, "account": self.account})

    def _let_github_in(
        self, config: GitHub, account: serviceaccount.Account, pool: pulumi.Output[str], provider: iam.WorkloadIdentityPoolProvider
    ) -> None:
        serviceaccount.IAMMember(
            "deployer-github",
            service_account_id=account.name,
            role="roles/iam.workloadIdentityUser",
            member=pulumi.Output.concat("principalSet://iam.googleapis.com/", pool, "/attribute.repository/", config.repository),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[provider]),
        )

    def _let_deploy(
        self, place: Place, identity: Identity, source: Source, member: pulumi.Output[str], opts: pulumi.ResourceOptions
    ) -> None:
        projects.IAMMember(
            "deployer-functions",
            project=place.project,
            role="roles/cloudfunctions.developer",
            member=member,
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(delete_before_replace=False)),
        )
        storage.BucketIAMMember(
            "deployer-sources",
            bucket=source.bucket.name,
            role="roles/storage.objectAdmin",
            member=member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        for role in ("webhook", "worker", "build"):
            serviceaccount.IAMMember(
                f"deployer-act-as-{role}",
                service_account_id=identity.accounts[role].name,
                role="roles/iam.serviceAccountUser",
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )


def _trust(place: Place, config: GitHub, opts: pulumi.ResourceOptions) -> tuple[iam.WorkloadIdentityPoolProvider, pulumi.Output[str]]:
    """What trusts GitHub's tokens, held to one repository and one ref; and its pool's name."""
    pool = iam.WorkloadIdentityPool(
        "pool",
        project=place.project,
        workload_identity_pool_id=f"{place.name}-{config.pool}",
        display_name=f"{place.name} GitHub",
        description="Identities of GitHub Actions runs",
        disabled=not config.deploys,
        opts=opts,
    )
    provider = iam.WorkloadIdentityPoolProvider(
        "provider",
        project=place.project,
        workload_identity_pool_id=pool.workload_identity_pool_id,
        workload_identity_pool_provider_id="github-actions",
        display_name="GitHub Actions",
        description="Runs of one repository on one ref",
        attribute_mapping={
            "google.subject": "assertion.sub",
            "attribute.repository": "assertion.repository",
            "attribute.repository_owner_id": "assertion.repository_owner_id",
            "attribute.ref": "assertion.ref",
        },
        # Every repository on GitHub has the same issuer: without this condition any of them could come in.
        attribute_condition=(
            f"assertion.repository_owner_id == '{config.owner_id}' && "
            f"assertion.repository == '{config.repository}' && assertion.ref == '{config.ref}'"
        ),
        oidc={"issuer_uri": ISSUER},
        opts=opts,
    )
    return provider, pool.name
