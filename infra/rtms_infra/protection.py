"""What `protect` does to the resources that hold state: database, queues, archive."""

from __future__ import annotations

from typing import Literal

import pulumi

from rtms_infra.config import Place


def deletion_policy(place: Place) -> Literal["PREVENT", "DELETE"]:
    """The provider reads it from the state: a run that lifts the protection and moves the resource at once still stops."""
    return "PREVENT" if place.protect else "DELETE"


def settled(place: Place, name: str, output: pulumi.Output[str]) -> pulumi.Input[str]:
    """What a dependent calls a protected resource: `name` as it stands while protected, else what the resource answers.

    Pulumi deletes what depends on a replaced resource through such a value, and does so before it finds out that the resource itself
    refuses to be deleted. Grants and backups must not be taken away by that. Whatever uses this says `depends_on` as well.
    """
    return name if place.protect else output
