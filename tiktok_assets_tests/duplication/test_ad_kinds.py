"""Tests of the kinds of ads: each is recognised, and says whether a copy can be made and what to do if not."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.duplication.ad_kinds import (
    AD_KINDS,
    MANUAL,
    UNKNOWN,
    explain_duplication,
    find_kinds,
    find_uncopyable_kind,
)
from tiktok_assets.spec.entities import AD_GROUPS, ADS, CAMPAIGNS
from tiktok_assets.tables.frames import build_entity_frame

Row = Mapping[str, Any]
READ_AT = datetime(2026, 10, 7, 12, 30, tzinfo=UTC)

AD: Row = {"ad_id": "3", "secondary_status": "AD_STATUS_DELIVERY_OK", "campaign_automation_type": "MANUAL"}
AD_GROUP: Row = {"creative_material_mode": "CUSTOM", "promotion_type": "WEBSITE", "product_source": "UNSET"}
CAMPAIGN: Row = {"objective_type": "WEB_CONVERSIONS", "campaign_automation_type": "MANUAL"}

KINDS: list[tuple[str, Row, Row, Row]] = [
    ("manual", {}, {}, {}),
    ("spark", {"tiktok_item_id": "7"}, {}, {}),
    ("promote", {"tiktok_item_id": "7"}, {}, {"campaign_system_origin": "PROMOTE"}),
    ("reservation", {}, {}, {"buying_type": "RESERVATION_TOP_VIEW"}),
    ("reservation", {}, {"billing_event": "GD", "rf_purchased_type": "FIXED_BUDGET"}, {}),
    (
        "upgraded_smart_plus",
        {
            "campaign_automation_type": "UPGRADED_SMART_PLUS_CREATIVE",
            "smart_plus_ad_id": "9",
            "tiktok_item_id": "7",
        },
        {"campaign_automation_type": "UPGRADED_SMART_PLUS"},
        {"campaign_automation_type": "UPGRADED_SMART_PLUS"},
    ),
    ("smart_plus", {}, {}, {"is_smart_performance_campaign": True}),
    ("smart_plus", {"campaign_automation_type": "SMART_PLUS"}, {}, {}),
    ("other_automation", {}, {}, {"campaign_automation_type": "SMARTER_STILL"}),
    ("automated_creative", {"is_aco": True}, {"creative_material_mode": "SMART_CREATIVE"}, {}),
    ("live", {"ad_format": "LIVE_CONTENT"}, {}, {}),
    ("live", {}, {"shopping_ads_type": "LIVE", "product_source": "STORE"}, {"objective_type": "PRODUCT_SALES"}),
    ("shop", {}, {"shopping_ads_type": "VIDEO", "product_source": "STORE"}, {"objective_type": "PRODUCT_SALES"}),
    ("shop", {}, {"product_source": "SHOWCASE"}, {}),
    ("catalogue", {}, {"product_source": "CATALOG", "catalog_id": "5"}, {"objective_type": "PRODUCT_SALES"}),
    ("catalogue", {"ad_format": "CATALOG_CAROUSEL"}, {}, {}),
    ("split_test", {}, {"split_test_group_id": "5"}, {}),
]
"""Kinds as TikTok's pages configure them: the fields of ad, ad group and campaign."""


def build_rows(ad: Row, ad_group: Row, campaign: Row) -> tuple[Row, Row, Row]:
    """Build the three objects of an ad with some fields changed."""
    return {**AD, **ad}, {**AD_GROUP, **ad_group}, {**CAMPAIGN, **campaign}


@pytest.mark.parametrize(("name", "ad", "ad_group", "campaign"), KINDS, ids=[row[0] for row in KINDS])
def test_each_kind_is_recognised_and_says_what_to_do(name: str, ad: Row, ad_group: Row, campaign: Row) -> None:
    """An ad is named by its kind, and either it can be duplicated or there are a reason and steps by hand."""
    found = explain_duplication(*build_rows(ad, ad_group, campaign))
    assert found.kind.name == name
    assert found.answer == ("by hand" if found.kind.phrase else "yes")
    assert found.reason
    assert bool(found.manual_steps) == (not found.can_be_duplicated)


def test_every_kind_has_a_case() -> None:
    """Every kind is recognised in a case of these tests, and only those without copies have reason and steps."""
    assert {row[0] for row in KINDS} == {kind.name for kind in (*AD_KINDS, MANUAL)}
    assert len({kind.label for kind in (*AD_KINDS, MANUAL, UNKNOWN)}) == len(AD_KINDS) + 2
    assert all(bool(kind.phrase) == bool(kind.reason) == bool(kind.manual_steps) for kind in AD_KINDS)


def test_docs_list_every_kind_in_order() -> None:
    """The table in `docs/flags.md` has every kind, in order of precedence, with the fields that decide."""
    text = (Path(__file__).parents[2] / "docs/flags.md").read_text(encoding="utf-8")
    table = text.partition("## Kinds of ads")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")][1:]
    assert [row.split("`")[1] for row in rows] == [kind.name for kind in (*AD_KINDS, MANUAL)]
    for kind, row in zip(AD_KINDS, rows, strict=False):
        assert [name for name in kind.fields if f"`{name}`" not in row] == [], kind.name


def test_stored_row_is_classified_like_the_object_it_was_read_from() -> None:
    """A stored row has the kinds of the object it was read from, also by fields that have no column."""
    ids = {"advertiser_id": "7001", "campaign_id": "1", "adgroup_id": "2", "ad_id": "3"}
    for name, *fields in KINDS:
        rows = [{**ids, **row} for row in build_rows(*fields)]
        stored = [
            build_entity_frame(entity, [row], READ_AT, unknown_fields=set()).row(0, named=True)
            for entity, row in zip((ADS, AD_GROUPS, CAMPAIGNS), rows, strict=True)
        ]
        assert find_kinds(*stored) == find_kinds(*rows), name


def test_missing_and_deleted_ads_cannot_be_duplicated() -> None:
    """An ad that TikTok does not list, and a deleted one, are said to be that, without steps."""
    missing = explain_duplication(None, AD_GROUP, CAMPAIGN)
    assert (missing.kind, missing.answer) == (UNKNOWN, "no")
    reserved = explain_duplication(None, None, {"objective_type": "RF_REACH"})
    assert (reserved.kind.name, reserved.answer) == ("reservation", "by hand")
    deleted = explain_duplication(*build_rows({"secondary_status": "AD_STATUS_CAMPAIGN_DELETE"}, {}, {}))
    assert (deleted.kind, deleted.answer) == (MANUAL, "no")
    assert "deleted" in deleted.reason


def test_scaling_campaign_decides_too() -> None:
    """An ad cannot be duplicated into a campaign that is deleted or takes no copies."""
    rows = build_rows({}, {}, {})
    assert explain_duplication(*rows, CAMPAIGN).answer == "yes"
    deleted = explain_duplication(*rows, {"secondary_status": "CAMPAIGN_STATUS_DELETE"})
    assert (deleted.answer, deleted.reason) == ("by hand", "the scaling campaign is deleted")
    live = explain_duplication(*rows, {"objective_type": "RF_REACH"})
    assert (live.answer, "bought by reservation" in live.reason) == ("by hand", True)


values = st.one_of(
    st.none(), st.booleans(), st.text(max_size=3), st.sampled_from(["MANUAL", "UNSET", "0", "LIVE"])
)
objects = st.dictionaries(st.sampled_from(sorted({name for kind in AD_KINDS for name in kind.fields})), values)


@pytest.mark.slow
@given(objects, objects, objects)
def test_kind_of_any_ad_agrees_with_the_kind_of_its_objects(ad: Row, ad_group: Row, campaign: Row) -> None:
    """For any fields an ad is said to be copyable just if none of its objects is of a kind that is not."""
    found = explain_duplication({"ad_id": "3", **ad}, ad_group, campaign)
    assert found.can_be_duplicated == (not any(map(find_uncopyable_kind, (ad, ad_group, campaign))))
