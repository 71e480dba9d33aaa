"""Tests of the create requests: only accepted fields without placeholders, and names that end with a marker."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.creatives import Identity
from tiktok_assets.api.retry import encode_body
from tiktok_assets.duplication.field_selection import build_fields
from tiktok_assets.duplication.models import DuplicationRequest, build_marker
from tiktok_assets.duplication.payloads import (
    MAX_NAME_LENGTH,
    AdGroupPlacement,
    CopiedCreative,
    build_ad_group_payload,
    build_ad_payload,
    build_copy_name,
    choose_budget_mode,
    compute_request_id,
    compute_start_time,
    decode_payload,
    has_marker,
)
from tiktok_assets.spec.ad_group_create_fields import AD_GROUP_CREATE_FIELDS
from tiktok_assets.spec.currencies import DAILY_BUDGET, DYNAMIC_DAILY_BUDGET, TOTAL_BUDGET

NOW = datetime(2026, 11, 9, 18, 0, tzinfo=UTC)
MARKER = build_marker("0123456789ab")
PLACEMENT = AdGroupPlacement("77", "0123456789ab", MARKER, DAILY_BUDGET, Decimal("50.0"), enable=False, now=NOW)
AD_GROUP: dict[str, Any] = {
    "advertiser_id": "1",
    "campaign_id": "2",
    "adgroup_id": "3",
    "adgroup_name": "Broad",
    "operation_status": "ENABLE",
    "budget": Decimal("70.0"),
    "budget_mode": DAILY_BUDGET,
    "schedule_type": "SCHEDULE_FROM_NOW",
    "schedule_start_time": "2026-01-05 10:00:00",
    "schedule_end_time": "2036-01-03 10:00:00",
}


def list_names(*treatments: str) -> set[str]:
    """List the manual fields of an ad group with some treatments."""
    return {one.manual for one in AD_GROUP_CREATE_FIELDS if one.manual and one.treatment in treatments}


@given(st.text(max_size=600))
def test_long_name_is_cut_but_keeps_its_marker(name: str) -> None:
    """For any name the copy's name fits and ends with the marker, once."""
    copy = build_copy_name(name, MARKER)
    assert copy.endswith(MARKER)
    assert len(copy) <= MAX_NAME_LENGTH
    assert has_marker(copy)
    assert build_copy_name(copy, MARKER) == copy


def test_copy_of_a_copy_has_one_marker() -> None:
    """The marker of an earlier copy and emoji are removed from a name."""
    assert build_copy_name("Hook [tta-ffffffffffff]", MARKER) == f"Hook {MARKER}"
    assert build_copy_name("Hook 🔥 ✅", MARKER) == f"Hook {MARKER}"


ACCEPTED = list_names("copied", "translated")
"""The fields of a manual ad group that a copy may have."""


@given(
    st.dictionaries(
        st.sampled_from(sorted(list_names("copied", "translated", "left out", "refused"))),
        st.sampled_from([None, "", "UNSET", [], 0, Decimal(0), "GENDER_MALE", 5, False, True, ["a"]]),
    )
)
def test_only_accepted_fields_without_placeholders_are_sent(row: dict[str, Any]) -> None:
    """Fields that are left out or refused and placeholders are removed; all other fields are unchanged."""
    kept = build_fields(row, AD_GROUP_CREATE_FIELDS, "manual")
    assert kept.keys() <= ACCEPTED
    lost = {name: row[name] for name in (row.keys() & ACCEPTED) - kept.keys()}
    assert all(value in (None, "", "UNSET", []) or value == 0 for value in lost.values())
    assert not any(value is False for value in lost.values())
    assert all(kept[name] == row[name] for name in kept)


def test_unknown_fields_are_not_sent() -> None:
    """A field without a row in the classification is not sent; keywords lose their review status."""
    row = {"brand_new_targeting": ["x"], "search_keywords": [{"keyword": "a", "audit_status": "OK"}]}
    assert build_fields(row, AD_GROUP_CREATE_FIELDS, "manual") == {"search_keywords": [{"keyword": "a"}]}


def test_copy_is_switched_off_and_starts_now() -> None:
    """A copied ad group is switched off, in the new campaign, from now on, with the chosen budget."""
    payload = build_ad_group_payload(AD_GROUP, PLACEMENT)
    assert (payload["operation_status"], payload["campaign_id"]) == ("DISABLE", "77")
    assert payload["schedule_start_time"] == "2026-11-09 18:00:00"
    assert "schedule_end_time" not in payload
    assert "adgroup_id" not in payload
    assert payload["budget"] == Decimal("50.0")
    assert payload["bid_type"] == "BID_TYPE_NO_BID"
    later = build_ad_group_payload({**AD_GROUP, "schedule_start_time": "2027-01-01 00:00:00"}, PLACEMENT)
    assert later["schedule_start_time"] == "2027-01-01 00:00:00"


def test_call_to_action_id_takes_precedence() -> None:
    """An ad with both sends the id, and one without a deep link sends no deep link type."""
    source = {
        "advertiser_id": "1",
        "ad_name": "A",
        "call_to_action": "X",
        "call_to_action_id": "9",
        "tiktok_item_id": "5",
    }
    creative_settings = CopiedCreative("pull", Identity("TT_USER", "7"))
    (creative,) = build_ad_payload(
        {**source, "deeplink_type": "NORMAL"}, "5", MARKER, creative_settings, enable=True
    )["creatives"]
    assert creative == {
        "ad_name": f"A {MARKER}",
        "operation_status": "ENABLE",
        "call_to_action_id": "9",
        "identity_type": "TT_USER",
        "identity_id": "7",
        "tiktok_item_id": "5",
    }


def test_payloads_survive_the_ledger() -> None:
    """A payload stored as text and decoded again is sent byte for byte as before."""
    text = encode_body(build_ad_group_payload(AD_GROUP, PLACEMENT)).decode()
    assert encode_body(decode_payload(text)).decode() == text
    assert '"budget":50.0' in text


def test_request_ids_are_64_bit_numbers() -> None:
    """A request id is a positive 64-bit integer as text, stable per step and key."""
    ids = {compute_request_id(key, step) for key in ("a", "b") for step in ("ad_group", "ad")}
    assert len(ids) == 4
    assert all(0 < int(one) < 2**63 for one in ids)
    assert compute_request_id("a", "ad") in ids


@pytest.mark.parametrize(
    ("source", "target", "mode"),
    [
        ({"budget_mode": DAILY_BUDGET, "budget": 5}, {}, DAILY_BUDGET),
        ({"budget_mode": DYNAMIC_DAILY_BUDGET, "budget": 5}, {}, DYNAMIC_DAILY_BUDGET),
        ({"budget_mode": DYNAMIC_DAILY_BUDGET, "budget": 0}, {}, DAILY_BUDGET),
        ({"budget_mode": "BUDGET_MODE_INFINITE", "budget": 0}, {}, DAILY_BUDGET),
        ({"budget_mode": DAILY_BUDGET, "budget": 5}, {"objective_type": "WEB_CONVERSIONS"}, DYNAMIC_DAILY_BUDGET),
        ({"budget_mode": DAILY_BUDGET, "budget": 5}, {"objective_type": "REACH"}, DAILY_BUDGET),
        ({"budget_mode": TOTAL_BUDGET, "budget": 5}, {"objective_type": "TRAFFIC"}, TOTAL_BUDGET),
        ({"budget_mode": TOTAL_BUDGET, "budget": 5}, {}, TOTAL_BUDGET),
        (
            {"budget_mode": TOTAL_BUDGET, "schedule_type": "SCHEDULE_FROM_NOW"},
            {"budget_optimize_on": True},
            DAILY_BUDGET,
        ),
    ],
)
def test_budget_mode_of_a_copy(source: dict[str, Any], target: dict[str, Any], mode: str) -> None:
    """The budget mode is the original's, or daily where its campaign had the budget."""
    assert choose_budget_mode(source, target) == mode


def test_start_time_in_the_past_becomes_now() -> None:
    """A copy never starts in the past."""
    assert compute_start_time(None, NOW) == "2026-11-09 18:00:00"
    assert compute_start_time("2026-11-09 18:00:01", NOW) == "2026-11-09 18:00:01"


def test_key_depends_on_source_and_target_only() -> None:
    """The key has twelve hex digits and depends on source, target and number, not on budget or `enable`."""
    base = DuplicationRequest("1", "2", "3")
    assert len(base.key) == 12
    assert int(base.key, 16) >= 0
    same = {
        DuplicationRequest("1", "2", "3", budget=Decimal(5)).key,
        DuplicationRequest("1", "2", "3", enable=True).key,
        base.key,
    }
    other = {
        DuplicationRequest("9", "2", "3").key,
        DuplicationRequest("1", "9", "3").key,
        DuplicationRequest("1", "2", "9").key,
    }
    other |= {DuplicationRequest("1", "2", "3", "4").key, DuplicationRequest("1", "2", "3", again=1).key}
    assert len(same) == 1
    assert len(other | same) == 6
