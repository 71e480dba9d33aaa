"""Laws of the checks that any table is put to: each passes a sound frame and names what is wrong with another."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tiktok_assets.quality.outcome import MAX_FAULTS, CheckOutcome
from tiktok_assets.quality.table_checks import (
    check_known_fields,
    check_known_parents,
    check_known_values,
    check_negative_spend,
    check_unique_keys,
)
from tiktok_assets_tests.quality.sample_frames import MONDAY, ads

KEY = ("advertiser_id", "date", "ad_id")
KNOWN = {"campaign_id": {"1"}, "ad_group_id": {"11"}, "ad_id": {"111", "112"}}
SOUND = {"ad_id": "111", "ad_group_id": "11", "campaign_id": "1", "spend": "2.5"}

CASES: Mapping[str, tuple[Callable[[pl.DataFrame], CheckOutcome], list[dict[str, Any]], list[dict[str, str]]]] = {
    "one key, two rows": (
        lambda frame: check_unique_keys(frame, KEY),
        [SOUND, SOUND, SOUND | {"ad_id": "112"}],
        [
            {"advertiser_id": "7001", "date": str(MONDAY), "ad_id": "111", "rows": "2"}
            | {"why": "one key, several rows"}
        ],
    ),
    "no key": (
        lambda frame: check_unique_keys(frame, KEY),
        [SOUND, SOUND | {"ad_id": None}],
        [{"advertiser_id": "7001", "date": str(MONDAY), "ad_id": "", "why": "null in the key"}],
    ),
    "a value nobody documents": (
        lambda frame: check_known_values(frame, {"currency": {"EUR", "USD"}}),
        [SOUND, SOUND | {"currency": "XXX"}, SOUND | {"currency": None}],
        [{"column": "currency", "value": "XXX", "rows": "1"}],
    ),
    "a field nobody documents": (
        lambda frame: check_known_fields(frame, {"old"}),
        [SOUND | {"extra": '{"old":1,"new":2}'}, SOUND | {"extra": '{"new":3}'}],
        [{"field": "new"}],
    ),
    "negative spend": (
        lambda frame: check_negative_spend(frame, ["spend"], KEY),
        [SOUND, SOUND | {"spend": "-0.01"}, SOUND | {"spend": "0"}],
        [{"advertiser_id": "7001", "date": str(MONDAY), "ad_id": "111", "spend": "-0.0100"}],
    ),
    "an ad nobody lists": (
        lambda frame: check_known_parents(frame, KNOWN),
        [SOUND, SOUND | {"ad_id": "113"}, SOUND | {"ad_group_id": None}],
        [{"advertiser_id": "7001", "column": "ad_id", "id": "113"}],
    ),
    "a campaign nobody lists": (
        lambda frame: check_known_parents(frame, KNOWN),
        [SOUND | {"campaign_id": "2"}],
        [{"advertiser_id": "7001", "column": "campaign_id", "id": "2"}],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_check_passes_what_is_sound_and_names_what_is_not(case: str) -> None:
    """Each check finds nothing in a sound row or in no rows, and exactly the faults of a frame that has them."""
    check, rows, faults = CASES[case]
    assert check(ads(SOUND)) == CheckOutcome()
    assert check(ads()) == CheckOutcome()
    found = check(ads(*rows))
    assert not found.passed
    assert found.count == len(faults)
    assert [{k: v for k, v in fault.items() if k in faults[0]} for fault in found.faults] == faults


def test_a_parent_whose_table_was_never_read_is_not_judged() -> None:
    """Where the table of the ads does not stand for the account, the check says so and passes."""
    found = check_known_parents(ads(SOUND), {"ad_id": None})
    assert found.passed
    assert found.notes == ("ad_id was not judged: its table does not stand for the account",)


def test_all_faults_are_counted_and_the_first_are_shown() -> None:
    """A table with many faults tells how many, and shows as many as a page holds; findings add up."""
    many = check_negative_spend(
        ads(*[SOUND | {"spend": "-1", "ad_id": str(n)} for n in range(30)]), ["spend"], KEY
    )
    both = many + many
    assert (both.count, len(both.faults)) == (60, MAX_FAULTS)
    assert (many + CheckOutcome()).count == 30
    assert Decimal(many.faults[0]["spend"]) == -1
