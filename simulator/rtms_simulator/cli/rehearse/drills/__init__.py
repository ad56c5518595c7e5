"""One drill a file: what happens, what must hold, which alert must fire within which time. Any other alert fails it."""

ORDER = (
    "meetings.meeting",
    "meetings.fail_over",
    "meetings.revoked",
    "meetings.records_expire",
    "meetings.flood",
    "secrets_and_rights.token_rotated",
    "secrets_and_rights.secret_rotation",
    "secrets_and_rights.client_secret_wrong",
    "secrets_and_rights.recall_key_wrong",
    "secrets_and_rights.worker_forbidden",
    "secrets_and_rights.strangers",
    "secrets_and_rights.callers",
    "outages.worker_broken",
    "outages.queue_paused",
    "outages.queue_stalled",
    "outages.region_down",
    "outages.store_down",
    "outages.scheduler_off",
    "deployments.redeploy",
    "deployments.rollback",
    "deployments.failed_build",
    "deployments.second_up",
    "deployments.destroy",
)
"""Every drill, `FOLDER.FILE`, in the order in which they run. Its name is that of the file, with hyphens."""
