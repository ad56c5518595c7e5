"""Google's regions that can hold the deployment: their jurisdiction, their price tier, and the second region of each. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Region:
    """`second`: where the second hand-off queue is by default: the nearest region of the same jurisdiction; empty if there is none.

    `tier`: Cloud Run's price tier (cloud.google.com/run/pricing; tier 2 costs about 40 % more).
    """

    jurisdiction: str
    tier: Literal[1, 2]
    second: str


REGIONS: Mapping[str, Region] = {
    "asia-east1": Region("TW", 1, ""),
    "asia-east2": Region("HK", 2, ""),
    "asia-northeast1": Region("JP", 1, "asia-northeast2"),
    "asia-northeast2": Region("JP", 1, "asia-northeast1"),
    "asia-northeast3": Region("KR", 2, ""),
    "asia-south1": Region("IN", 1, "asia-south2"),
    "asia-south2": Region("IN", 2, "asia-south1"),
    "asia-southeast1": Region("SG", 2, ""),
    "asia-southeast2": Region("ID", 2, ""),
    "australia-southeast1": Region("AU", 2, "australia-southeast2"),
    "australia-southeast2": Region("AU", 2, "australia-southeast1"),
    "europe-central2": Region("EU", 2, "europe-west3"),
    "europe-north1": Region("EU", 1, "europe-west3"),
    "europe-southwest1": Region("EU", 1, "europe-west1"),
    "europe-west1": Region("EU", 1, "europe-west3"),
    "europe-west2": Region("GB", 2, ""),
    "europe-west3": Region("EU", 2, "europe-west1"),
    "europe-west4": Region("EU", 1, "europe-west1"),
    "europe-west6": Region("CH", 2, ""),
    "europe-west8": Region("EU", 1, "europe-west3"),
    "europe-west9": Region("EU", 1, "europe-west1"),
    "me-west1": Region("IL", 1, ""),
    "northamerica-northeast1": Region("CA", 2, "northamerica-northeast2"),
    "northamerica-northeast2": Region("CA", 2, "northamerica-northeast1"),
    "southamerica-east1": Region("BR", 2, ""),
    "southamerica-west1": Region("CL", 2, ""),
    "us-central1": Region("US", 1, "us-east4"),
    "us-east1": Region("US", 1, "us-east4"),
    "us-east4": Region("US", 1, "us-east1"),
    "us-east5": Region("US", 1, "us-east4"),
    "us-south1": Region("US", 1, "us-central1"),
    "us-west1": Region("US", 1, "us-west3"),
    "us-west2": Region("US", 2, "us-west4"),
    "us-west3": Region("US", 2, "us-west4"),
    "us-west4": Region("US", 2, "us-west2"),
}
"""Regions that have all of Cloud Run functions, Firestore, Cloud Tasks, Cloud Scheduler and Artifact Registry.

[inf] Kept by hand: Google publishes one list per product and none for all five. Jurisdiction: the country, or EU. Sources: the price
page of Cloud Run for the tiers, the location pages of the five products for the rest. Each `second` is a region that had Cloud Tasks
from the beginning (a region of App Engine).
"""

MULTI_REGIONS = ("eur3", "nam5", "nam7")
"""Firestore's multi-regions: twice the price, survive the loss of a region."""

PAIRED: Mapping[str, str] = {
    "us-east-1": "us-east4",
    "us-west-2": "us-west1",
    "eu-central-1": "europe-west3",
    "ap-northeast-1": "asia-northeast1",
}
"""Recall's region -> the Google region next to it (a hand-off should not cross an ocean)."""
