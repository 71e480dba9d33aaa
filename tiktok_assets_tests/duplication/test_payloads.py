"""Laws of the requests: nothing creation does not take, nothing that says nothing, and a marker that survives."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.api.creatives import Identity
from tiktok_assets.api.retry import encode_body
from tiktok_assets.duplication.models import DuplicationRequest, build_marker
from tiktok_assets.duplication.payloads import (
    MAX_NAME_LENGTH,
    READ_ONLY_AD_FIELDS,
    READ_ONLY_AD_GROUP_FIELDS,
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
    remove_read_only_fields,
)
from tiktok_assets.spec.money import DAILY_BUDGET, DYNAMIC_DAILY_BUDGET, TOTAL_BUDGET

NOW = datetime(2026, 11, 9, 18, 0, tzinfo=UTC)
MARKER = build_marker("0123456789ab")
PLACED = AdGroupPlacement("77", "0123456789ab", MARKER, DAILY_BUDGET, Decimal("50.0"), enable=False, now=NOW)
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


@given(st.text(max_size=600))
def test_a_name_is_cut_and_its_marker_is_not(name: str) -> None:
    """Whatever the original is called, the copy's name fits and ends with the marker, once."""
    copy = build_copy_name(name, MARKER)
    assert copy.endswith(MARKER)
    assert len(copy) <= MAX_NAME_LENGTH
    assert has_marker(copy)
    assert build_copy_name(copy, MARKER) == copy


def test_a_copy_of_a_copy_has_one_marker() -> None:
    """The marker of an earlier copy makes way; a name loses its emoji."""
    assert build_copy_name("Hook [tta-ffffffffffff]", MARKER) == f"Hook {MARKER}"
    assert build_copy_name("Hook 🔥 ✅", MARKER) == f"Hook {MARKER}"


@given(
    st.dictionaries(
        st.sampled_from(
            sorted(READ_ONLY_AD_GROUP_FIELDS | READ_ONLY_AD_FIELDS | {"gender", "bid_price", "is_hfss"})
        ),
        st.sampled_from([None, "", "UNSET", [], 0, Decimal(0), "GENDER_MALE", 5, False, True, ["a"]]),
    )
)
def test_only_what_is_taken_and_says_something_is_sent(row: dict[str, Any]) -> None:
    """No field that creation does not take, and no placeholder, is left; everything else is, unchanged."""
    for not_taken in (READ_ONLY_AD_GROUP_FIELDS, READ_ONLY_AD_FIELDS):
        kept = remove_read_only_fields(row, not_taken)
        assert not kept.keys() & not_taken
        lost = {name: row[name] for name in row.keys() - kept.keys() - not_taken}
        assert all(value in (None, "", "UNSET", []) or value == 0 for value in lost.values())
        assert not any(value is False for value in lost.values())
        assert all(kept[name] is row[name] for name in kept)


def test_what_a_target_may_be_narrowed_by_is_sent_on() -> None:
    """A field nobody listed is kept, so that a copy never aims wider than its original; keywords lose verdicts."""
    row = {"brand_new_targeting": ["x"], "search_keywords": [{"keyword": "a", "audit_status": "OK"}]}
    assert remove_read_only_fields(row, READ_ONLY_AD_GROUP_FIELDS) == {
        "brand_new_targeting": ["x"],
        "search_keywords": [{"keyword": "a"}],
    }


def test_a_copy_is_switched_off_and_starts_now() -> None:
    """Switched off unless wished otherwise, in the new campaign, from now on, with the budget decided on."""
    body = build_ad_group_payload(AD_GROUP, PLACED)
    assert (body["operation_status"], body["campaign_id"]) == ("DISABLE", "77")
    assert body["schedule_start_time"] == "2026-11-09 18:00:00"
    assert "schedule_end_time" not in body
    assert "adgroup_id" not in body
    assert body["budget"] == Decimal("50.0")
    assert body["bid_type"] == "BID_TYPE_NO_BID"
    later = build_ad_group_payload({**AD_GROUP, "schedule_start_time": "2027-01-01 00:00:00"}, PLACED)
    assert later["schedule_start_time"] == "2027-01-01 00:00:00"


def test_the_id_of_a_call_to_action_wins() -> None:
    """An ad with both sends the id; one without a deep link sends no kind of one."""
    source = {
        "advertiser_id": "1",
        "ad_name": "A",
        "call_to_action": "X",
        "call_to_action_id": "9",
        "tiktok_item_id": "5",
    }
    shown = CopiedCreative("pull", Identity("TT_USER", "7"))
    (creative,) = build_ad_payload({**source, "deeplink_type": "NORMAL"}, "5", MARKER, shown, enable=True)[
        "creatives"
    ]
    assert creative == {
        "ad_name": f"A {MARKER}",
        "operation_status": "ENABLE",
        "call_to_action_id": "9",
        "identity_type": "TT_USER",
        "identity_id": "7",
        "tiktok_item_id": "5",
    }


def test_bodies_survive_the_ledger() -> None:
    """A body kept as text and read again is sent byte for byte as before."""
    text = encode_body(build_ad_group_payload(AD_GROUP, PLACED)).decode()
    assert encode_body(decode_payload(text)).decode() == text
    assert '"budget":50.0' in text


def test_request_ids_are_numbers_of_64_bits() -> None:
    """The text of a positive 64-bit integer, the same for every attempt, another for every step and wish."""
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
def test_the_mode_of_a_copy(source: dict[str, Any], target: dict[str, Any], mode: str) -> None:
    """The original's mode, or daily where its campaign spread the budget."""
    assert choose_budget_mode(source, target) == mode


def test_a_start_that_has_passed_is_now() -> None:
    """A copy never begins before it is made."""
    assert compute_start_time(None, NOW) == "2026-11-09 18:00:00"
    assert compute_start_time("2026-11-09 18:00:01", NOW) == "2026-11-09 18:00:01"


def test_a_key_is_the_wishs_own() -> None:
    """The key is twelve hex digits, depends on what is made and where, and not on how or how dear."""
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
