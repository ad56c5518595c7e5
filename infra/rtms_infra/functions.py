"""The deployed service: source, image repository, both functions, and who may call them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
from pulumi_gcp import artifactregistry, cloudfunctionsv2, cloudrunv2, storage

from rtms_infra.apis import Apis
from rtms_infra.config import Config, Place
from rtms_infra.identity import INVOKERS, Identity, source_bucket_name
from rtms_infra.numbers import WORKER_TIMEOUT_S, webhook_timeout_s
from rtms_infra.secrets import Secrets
from rtms_infra.source import write
from rtms_infra.values import short_hash


class Source(pulumi.ComponentResource):
    """Where the code comes from, and where its images go.

    Creates:
        source: private bucket for source archives
        source-object: the archive, named by its content's hash: other content is another name, and redeploys; the same does not
        images: image repository that cleans itself up: the five newest are kept, others go after 30 days
        build-images: lets the build push images into it

    Costs: cents: some MiB of archives and images, and Cloud Build's free minutes.
    """

    def __init__(self, place: Place, folder: Path, into: Path, identity: Identity, apis: Apis) -> None:
        super().__init__("rtmskit:infra:Source", "sources")
        self.bucket = storage.Bucket(
            "source",
            project=place.project,
            name=source_bucket_name(place),
            location=place.region,
            labels=place.labels,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            # Archives are rebuilt from the checkout at any time; a week of soft delete would only be billed.
            force_destroy=True,
            soft_delete_policy={"retention_duration_seconds": 0},
            opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("storage")),
        )
        path = write(folder, into)
        self.hash = path.stem.removeprefix("function-")
        self.object = storage.BucketObject(
            "source-object",
            bucket=self.bucket.name,
            name=path.name,
            source=pulumi.FileAsset(str(path)),
            content_type="application/zip",
            # The running archive stays until the new one is there.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=False),
        )
        self.images = self._image_repository(place, apis)
        self.push = artifactregistry.RepositoryIamMember(
            "build-images",
            project=place.project,
            repository=self.images.name,
            location=place.region,
            role="roles/artifactregistry.writer",
            member=identity.member("build"),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})

    def _image_repository(self, place: Place, apis: Apis) -> artifactregistry.Repository:
        return artifactregistry.Repository(
            "images",
            project=place.project,
            repository_id=f"{place.name}-images",
            location=place.region,
            format="DOCKER",
            description="Images of both functions",
            labels=place.labels,
            cleanup_policy_dry_run=False,
            cleanup_policies=[
                {"id": "keep-newest", "action": "KEEP", "most_recent_versions": {"keep_count": 5}},
                {"id": "delete-old", "action": "DELETE", "condition": {"older_than": "2592000s"}},
            ],
            opts=pulumi.ResourceOptions(parent=self, depends_on=apis.before("artifactregistry")),
        )


def address(place: Place, role: str, bucket: storage.Bucket) -> pulumi.Output[str]:
    """The function's URL, known before it exists: Cloud Run's deterministic form, `https://SERVICE-PROJECTNUMBER.REGION.run.app`.

    The worker learns its own URL through this (it enqueues tasks for itself). The project's number is an output of any bucket,
    which spares a look-up that the deploying identity might not be allowed.
    """
    return pulumi.Output.concat(f"https://{place.name}-{role}-", bucket.project_number.apply(int).apply(str), f".{place.region}.run.app")


class Functions(pulumi.ComponentResource):
    """The public webhook and the private worker, from one source.

    Creates:
        webhook: answers Zoom and Recall: verifies, records, enqueues; knows neither the Recall key nor the Client Secret
        webhook-public: lets anybody call the webhook, since Zoom and Recall have no Google identity; the only public grant there is
        worker: hands over to Recall, retrieves, archives, forgets
        worker-called-*: lets the identity of one queue path, or of the schedule, call the worker
        worker-caller-*: lets a configured person, group or service call the worker, to list recordings and get links

    Costs: per million meetings 2 to 9 $ for the webhook and 4 to 21 $ for the worker (costs.md); a warm instance about 10 $ a month.
    """

    def __init__(
        self,
        config: Config,
        source: Source,
        secrets: Secrets,
        identity: Identity,
        environment: dict[str, dict[str, pulumi.Input[str]]],
        needs: list[pulumi.Resource],
        apis: Apis,
    ) -> None:
        """`environment` maps a role to its plain variables; `needs` must be there before either function starts."""
        super().__init__("rtmskit:infra:Functions", "functions")
        place = config.place
        before = [*apis.before("cloudfunctions", "cloudbuild", "run", "artifactregistry"), *identity.build_grants, source.push, *needs]
        self.functions = {
            role: cloudfunctionsv2.Function(
                role,
                project=place.project,
                name=f"{place.name}-{role}",
                location=place.region,
                description=_DESCRIPTION[role],
                labels=place.labels,
                build_config=_build(role, config, identity, source),
                service_config=_service(role, config, identity, environment[role], secrets),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[*before, *secrets.grants(role)]),
            )
            for role in ("webhook", "worker")
        }
        self.active = {role: _active(role, function) for role, function in self.functions.items()}
        if config.access.public_webhook:
            self._may_call("webhook-public", place, "webhook", "allUsers")
        self.called = {role: self._may_call(f"worker-called-{role}", place, "worker", identity.member(role)) for role in INVOKERS}
        for member in config.access.worker_callers:
            # Named by the member: removing one of them must not touch another's grant.
            self._may_call(f"worker-caller-{short_hash(member)}", place, "worker", member)
        # An address is claimed only when what answers there has been built.
        self.urls = {role: _once(self.active[role], address(place, role, source.bucket)) for role in self.functions}
        self.register_outputs({"urls": self.urls})

    def _may_call(self, name: str, place: Place, role: str, member: pulumi.Input[str]) -> pulumi.Resource:
        # A second-generation function is a Cloud Run service of the same name; it does not honour cloudfunctions.invoker.
        return cloudrunv2.ServiceIamMember(
            name,
            project=place.project,
            name=self.active[role],
            location=place.region,
            role="roles/run.invoker",
            member=member,
            opts=pulumi.ResourceOptions(parent=self),
        )


_DESCRIPTION = {"webhook": "Receives Zoom's and Recall's webhooks", "worker": "Hands streams to Recall, retrieves recordings"}


def _active(role: str, function: cloudfunctionsv2.Function) -> pulumi.Output[str]:
    """The function's name, once Google says that it runs. A function whose build failed stays in Pulumi's state as if all were well.

    A preview only warns: it shows the state before the run that mends it, and a `pulumi up` whose preview is refused never begins.
    """

    def checked(known: list[Any]) -> str:
        name, state, build = known
        if state == "ACTIVE":
            return str(name)
        problem = _not_active(role, name, state, (build or {}).get("build") or "Cloud Build, history")
        if not pulumi.runtime.is_dry_run():
            raise pulumi.RunError(problem)
        pulumi.log.warn(problem)
        return str(name)

    return pulumi.Output.all(function.name, function.state, function.build_config).apply(checked)


def _not_active(role: str, name: str, state: str, build: str) -> str:
    if state == "DEPLOYING":
        return f"The function {name} is being deployed by somebody else.\n  fix: wait until it is ACTIVE, then pulumi up\n"
    return (
        f"The function {name} is {state}: its last build failed, and Pulumi does not repeat a build by itself.\n"
        f"  look at: {build}\n"
        '  fix:     pulumi config set rtmskit:redeploy "$(date +%s)"; pulumi up\n'
        f"  if it stays so [inferred]: pulumi up --replace the URN of {role} (the function is deleted and built again)\n"
    )


def _once(first: pulumi.Output[str], value: pulumi.Output[str]) -> pulumi.Output[str]:
    """`value`, known only once `first` is."""

    def second(both: list[str]) -> str:
        return both[1]

    return pulumi.Output.all(first, value).apply(second)


def _build(role: str, config: Config, identity: Identity, source: Source) -> cloudfunctionsv2.FunctionBuildConfigArgsDict:
    return {
        "runtime": config.runtime,
        "entry_point": role,
        "service_account": identity.accounts["build"].id,
        "docker_repository": source.images.id,
        "source": {"storage_source": {"bucket": source.bucket.name, "object": source.object.name}},
        "environment_variables": {"RTMSKIT_REDEPLOY": config.redeploy} if config.redeploy else {},
        "automatic_update_policy": {},
    }


def _service(
    role: str, config: Config, identity: Identity, environment: dict[str, pulumi.Input[str]], secrets: Secrets
) -> cloudfunctionsv2.FunctionServiceConfigArgsDict:
    capacity = config.webhook if role == "webhook" else config.worker
    return {
        "available_cpu": capacity.cpu,
        "available_memory": capacity.memory,
        "min_instance_count": capacity.minimum,
        "max_instance_count": capacity.maximum,
        "max_instance_request_concurrency": capacity.concurrency,
        "timeout_seconds": webhook_timeout_s(config.zoom.connect_window_s) if role == "webhook" else WORKER_TIMEOUT_S,
        "ingress_settings": config.access.webhook_ingress if role == "webhook" else config.access.worker_ingress,
        "all_traffic_on_latest_revision": True,
        "service_account_email": identity.email(role),
        "environment_variables": environment,
        "secret_environment_variables": secrets.environment(role, config.place.project),
    }
