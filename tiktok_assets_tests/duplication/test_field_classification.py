"""Tests that every field of an ad and an ad group is classified, and that an unknown one is shown and not sent."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.duplication.field_selection import UNKNOWN, build_fields, find_field_notes, flatten_object
from tiktok_assets.spec.ad_create_fields import AD_CREATE_FIELDS
from tiktok_assets.spec.ad_group_create_fields import AD_GROUP_CREATE_FIELDS
from tiktok_assets.spec.create_fields import CampaignKind, CreateField
from tiktok_assets_tests.contracts.contract import load_contract
from tiktok_assets_tests.full_payloads import build_sample
from tiktok_assets_tests.official_sdk.operations import load_operations

Table = tuple[CreateField, ...]

PAGES: tuple[tuple[str, CampaignKind, Table, str], ...] = (
    ("ad/create", "manual", AD_CREATE_FIELDS, "creatives[]."),
    ("ad/get", "manual", AD_CREATE_FIELDS, "data.list[]."),
    ("smart_plus/ad/create", "smart_plus", AD_CREATE_FIELDS, ""),
    ("smart_plus/ad/get", "smart_plus", AD_CREATE_FIELDS, "data.list[]."),
    ("adgroup/create", "manual", AD_GROUP_CREATE_FIELDS, ""),
    ("adgroup/get", "manual", AD_GROUP_CREATE_FIELDS, "data.list[]."),
    ("smart_plus/adgroup/create", "smart_plus", AD_GROUP_CREATE_FIELDS, ""),
    ("smart_plus/adgroup/get", "smart_plus", AD_GROUP_CREATE_FIELDS, "data.list[]."),
)
"""The operation, the kind of campaign, its classification, and where its contract has the fields."""

MISPRINTS = {
    "smart_plus/adgroup/create": {"deep_cpabid", "open_api_partner", "product_source", "promotion_website_type"}
}
"""Names that only the SDK has, which the page of creation does not name."""


def list_fields(operation: str, prefix: str) -> set[str]:
    """List the fields of an operation by its contract and by TikTok's SDK, as dotted names."""
    contract = load_contract(operation)
    rules = contract.response if prefix.startswith("data.") else contract.request.parameters
    names = {name.removeprefix(prefix) for name in rules if name.startswith(prefix)}
    if operation.endswith("/create"):
        sdk = load_operations()[operation].list_names()
        names |= {name.removeprefix(prefix) for name in sdk if name.startswith(prefix)}
    return {name.replace("[]", "") for name in names} - {""} - MISPRINTS.get(operation, set())


def find_unclassified(names: Iterable[str], table: Table, kind: CampaignKind) -> set[str]:
    """Return the names without a row; an object is classified by the fields inside it, or as a whole."""
    rows = {field.name_in(kind).replace("[]", ""): field for field in table if field.name_in(kind)}
    known = rows.keys() | {f"{name}.{part}" for name, field in rows.items() for part in field.parts or ()}
    whole = tuple(f"{name}." for name, field in rows.items() if field.parts is None)
    return {
        name
        for name in names
        if name not in known
        and not name.startswith(whole)
        and not any(other.startswith(f"{name}.") for other in known)
    }


@pytest.mark.parametrize(("operation", "kind", "table", "prefix"), PAGES, ids=[row[0] for row in PAGES])
def test_every_field_of_the_pages_is_classified(
    operation: str, kind: CampaignKind, table: Table, prefix: str
) -> None:
    """Every field that a page or the SDK lists for creation, or for reading what is copied, has a row."""
    names = list_fields(operation, prefix)
    assert len(names) > 60
    assert find_unclassified(names, table, kind) == set()


@pytest.mark.parametrize(("operation", "kind", "table", "prefix"), PAGES, ids=[row[0] for row in PAGES])
def test_only_fields_that_creation_accepts_are_sent(
    operation: str, kind: CampaignKind, table: Table, prefix: str
) -> None:
    """A field that is copied or translated is one of those that creation accepts."""
    if not operation.endswith("/create"):
        operation, prefix = operation.replace("/get", "/create"), "creatives[]." if operation == "ad/get" else ""
    accepted = list_fields(operation, prefix) | {"advertiser_id", "adgroup_id"}
    sent = {
        field.name_in(kind).replace("[]", "")
        for field in table
        if field.name_in(kind) and field.treatment_in(kind)[0] in {"copied", "translated"}
    }
    newer = {"creative_auto_enhancement_strategy_list"}  # in the page of ad/create, newer than its contract
    assert sent - accepted <= newer


def test_every_row_says_what_becomes_of_its_field() -> None:
    """What is left out or refused has a reason, and so has what the other kind of campaign lacks."""
    for field in (*AD_CREATE_FIELDS, *AD_GROUP_CREATE_FIELDS):
        assert field.key
        assert field.note or field.treatment == "copied", field.key
        both = field.manual and field.smart_plus and not field.read_only_in_smart_plus
        assert field.across_note or both, field.key


@pytest.mark.parametrize("table", [AD_CREATE_FIELDS, AD_GROUP_CREATE_FIELDS], ids=["ad", "ad group"])
def test_no_field_has_two_rows(table: Table) -> None:
    """Each name of a kind of campaign has one row, but for the text, which is a list in Upgraded Smart+."""
    for kind in ("manual", "smart_plus"):
        names = [name for field in table if (name := field.name_in(kind))]
        repeated = {name for name in names if names.count(name) > 1}
        assert repeated <= {"ad_text_list[].ad_text"}


READS = [page for page in PAGES if page[0].endswith("/get")]


@pytest.mark.parametrize("target", ["manual", "smart_plus"])
@pytest.mark.parametrize(("operation", "kind", "table", "prefix"), READS, ids=[row[0] for row in READS])
def test_a_new_field_is_shown_and_not_sent(
    operation: str, kind: CampaignKind, table: Table, prefix: str, target: CampaignKind
) -> None:
    """A field that TikTok adds to what is read, at any depth, is unknown, and no request has it."""
    row: dict[str, Any] = build_sample(load_contract(operation).response, prefix.removesuffix("."))
    known = {note.name for note in find_field_notes(row, table, kind, target) if note.treatment == UNKNOWN}
    assert known == set()
    row["brand_new"] = {"colour": "red"}
    expected = {"brand_new"}
    for name in ("ad_configuration", "targeting_spec"):
        if name in row:
            row[name]["brand_new"] = ["1"]
            expected.add(f"{name}.brand_new")
    if "creative_list" in row:
        row["creative_list"][0]["creative_info"]["brand_new"] = "1"
        expected.add("creative_list.creative_info.brand_new")
    notes = {note.name for note in find_field_notes(row, table, kind, target) if note.treatment == UNKNOWN}
    assert notes == expected
    assert "brand_new" not in str(build_fields(flatten_object(row, table, kind), table, target))


VALUES = st.one_of(st.booleans(), st.text(min_size=1, max_size=3), st.integers(1, 9))
SCALARS = [field for field in AD_GROUP_CREATE_FIELDS if field.manual and field.smart_plus and not field.parts]


@given(st.dictionaries(st.sampled_from([field.manual for field in SCALARS]), VALUES))
def test_a_field_of_both_kinds_survives_the_way_there_and_back(row: dict[str, Any]) -> None:
    """Whatever both kinds of campaign accept is the same after it was nested for one and read from there."""
    sent = build_fields(row, AD_GROUP_CREATE_FIELDS, "smart_plus")
    flat = flatten_object(sent, AD_GROUP_CREATE_FIELDS, "smart_plus")
    accepted = {
        field.manual for field in SCALARS if field.treatment_in("smart_plus")[0] in {"copied", "translated"}
    }
    assert flat == {name: value for name, value in row.items() if name in accepted}
