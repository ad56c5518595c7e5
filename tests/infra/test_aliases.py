"""The option `aliases`: which former URNs it names (what Pulumi's own engine does with them is in tests/pulumi_engine/test_upgrades.py)."""

from __future__ import annotations

import pytest
from pulumi.runtime.proto import alias_pb2

from rtms_infra.rehearsal.aliases import aliases

STACK = "urn:pulumi:prod::rtmskit::pulumi:pulumi:Stack::rtmskit-prod"
PARENT = "urn:pulumi:prod::rtmskit::x:y:New::state"
FORMER_PARENT = "urn:pulumi:prod::rtmskit::x:y:Old::store"
URN = "urn:pulumi:prod::rtmskit::x:y:New$gcp:a/b:C::state-fields"


def spec(**fields: object) -> alias_pb2.Alias:
    return alias_pb2.Alias(spec=alias_pb2.Alias.Spec(**fields))  # ty: ignore[invalid-argument-type]


@pytest.mark.parametrize(
    ("alias", "former"),
    [
        (spec(name="others"), "urn:pulumi:prod::rtmskit::x:y:New$gcp:a/b:C::others"),
        (spec(type="gcp:a/b:D"), "urn:pulumi:prod::rtmskit::x:y:New$gcp:a/b:D::state-fields"),
        (spec(stack="dev", project="kit"), "urn:pulumi:dev::kit::x:y:New$gcp:a/b:C::state-fields"),
        (spec(noParent=True), "urn:pulumi:prod::rtmskit::gcp:a/b:C::state-fields"),
        (spec(parentUrn=FORMER_PARENT), "urn:pulumi:prod::rtmskit::x:y:Old$gcp:a/b:C::state-fields"),
        (spec(parentUrn=STACK), "urn:pulumi:prod::rtmskit::gcp:a/b:C::state-fields"),
        (alias_pb2.Alias(urn=f"{URN}-before"), f"{URN}-before"),
    ],
)
def test_an_alias_names_what_differs(alias: alias_pb2.Alias, former: str) -> None:
    assert aliases(URN, PARENT, [alias], ()) == [former]


def test_children_follow_their_parent_by_type_and_by_the_beginning_of_their_name() -> None:
    assert aliases(URN, PARENT, [], [FORMER_PARENT]) == ["urn:pulumi:prod::rtmskit::x:y:Old$gcp:a/b:C::store-fields"]


def test_both_at_once_are_tried() -> None:
    both = aliases(URN, PARENT, [spec(name="records")], [FORMER_PARENT])
    assert "urn:pulumi:prod::rtmskit::x:y:Old$gcp:a/b:C::records" in both


def test_what_it_is_called_now_is_no_alias() -> None:
    assert aliases(URN, PARENT, [alias_pb2.Alias(urn=URN)], ()) == []
