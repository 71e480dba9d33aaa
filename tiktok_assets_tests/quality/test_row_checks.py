"""Test the checks of rows of any table: valid rows pass, and invalid rows are listed with their fault."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tiktok_assets.quality.outcome import MAX_FAULTS, CheckOutcome
from tiktok_assets.quality.row_checks import (
    check_known_fields,
    check_known_parents,
    check_known_values,
    check_negative_spend,
    check_unique_keys,
)
from tiktok_assets_tests.quality.sample_frames import MONDAY, ads

KEY = ("advertiser_id", "date", "ad_id")
KNOWN = {"campaign_id": {"1"}, "ad_group_id": {"11"}, "ad_id": {"111", "112"}}
VALID_ROW = {"ad_id": "111", "ad_group_id": "11", "campaign_id": "1", "spend": "2.5"}

CASES: Mapping[str, tuple[Callable[[pl.DataFrame], CheckOutcome], list[dict[str, Any]], list[dict[str, str]]]] = {
    "two rows with the same key": (
        lambda frame: check_unique_keys(frame, KEY),
        [VALID_ROW, VALID_ROW, VALID_ROW | {"ad_id": "112"}],
        [
            {"advertiser_id": "7001", "date": str(MONDAY), "ad_id": "111", "rows": "2"}
            | {"why": "several rows with the same key"}
        ],
    ),
    "a row without a key": (
        lambda frame: check_unique_keys(frame, KEY),
        [VALID_ROW, VALID_ROW | {"ad_id": None}],
        [{"advertiser_id": "7001", "date": str(MONDAY), "ad_id": "", "why": "null in the key"}],
    ),
    "an undocumented value": (
        lambda frame: check_known_values(frame, {"currency": {"EUR", "USD"}}),
        [VALID_ROW, VALID_ROW | {"currency": "XXX"}, VALID_ROW | {"currency": None}],
        [{"column": "currency", "value": "XXX", "rows": "1"}],
    ),
    "an undocumented field": (
        lambda frame: check_known_fields(frame, {"old"}),
        [VALID_ROW | {"extra": '{"old":1,"new":2}'}, VALID_ROW | {"extra": '{"new":3}'}],
        [{"field": "new"}],
    ),
    "negative spend": (
        lambda frame: check_negative_spend(frame, ["spend"], KEY),
        [VALID_ROW, VALID_ROW | {"spend": "-0.01"}, VALID_ROW | {"spend": "0"}],
        [{"advertiser_id": "7001", "date": str(MONDAY), "ad_id": "111", "spend": "-0.0100"}],
    ),
    "an ad that is not listed": (
        lambda frame: check_known_parents(frame, KNOWN),
        [VALID_ROW, VALID_ROW | {"ad_id": "113"}, VALID_ROW | {"ad_group_id": None}],
        [{"advertiser_id": "7001", "column": "ad_id", "id": "113"}],
    ),
    "a campaign that is not listed": (
        lambda frame: check_known_parents(frame, KNOWN),
        [VALID_ROW | {"campaign_id": "2"}],
        [{"advertiser_id": "7001", "column": "campaign_id", "id": "2"}],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_check_passes_valid_rows_and_lists_the_faults_of_others(case: str) -> None:
    """Each check passes a valid row and an empty table, and lists exactly the faults of other rows."""
    check, rows, faults = CASES[case]
    assert check(ads(VALID_ROW)) == CheckOutcome()
    assert check(ads()) == CheckOutcome()
    outcome = check(ads(*rows))
    assert not outcome.passed
    assert outcome.count == len(faults)
    assert [{k: v for k, v in fault.items() if k in faults[0]} for fault in outcome.faults] == faults


def test_a_parent_whose_table_was_never_read_is_not_checked() -> None:
    """If the table of ads has no file for the account, the check passes with a note."""
    outcome = check_known_parents(ads(VALID_ROW), {"ad_id": None})
    assert outcome.passed
    assert outcome.notes == ("ad_id was not checked: its table has no file for the account",)


def test_all_faults_are_counted_and_the_first_are_listed() -> None:
    """All faults are counted, a limited number is listed, and outcomes can be added."""
    many = check_negative_spend(
        ads(*[VALID_ROW | {"spend": "-1", "ad_id": str(n)} for n in range(30)]), ["spend"], KEY
    )
    both = many + many
    assert (both.count, len(both.faults)) == (60, MAX_FAULTS)
    assert (many + CheckOutcome()).count == 30
    assert Decimal(many.faults[0]["spend"]) == -1
