"""Tests of the validation of rows before they are written."""

from typing import Any

import pytest

from tiktok_assets.tables.report_row_parser import find_key_error
from tiktok_assets_tests.quality.sample_frames import ads

KEY = ("advertiser_id", "date", "ad_id")
VALID = {"ad_id": "111", "spend": "2.5", "clicks": 0}


@pytest.mark.parametrize(
    ("row", "error"),
    [
        ({"ad_id": "112"}, None),
        ({"ad_id": "112", "spend": "-1"}, None),  # stored as TikTok returns it; a check reports it
        ({"ad_id": "112", "advertiser_id": "7002"}, "1 rows belong to another account"),
        ({"ad_id": "112", "advertiser_id": None}, "1 rows belong to another account"),
        ({"ad_id": None}, "1 rows have no ad_id"),
        ({}, "2 rows have duplicate keys, the first is 7001, 2026-03-02, 111"),
    ],
)
def test_invalid_keys_are_reported(row: dict[str, Any], error: str | None) -> None:
    """Rows of another account, without a key, or with duplicate keys are reported in one clause."""
    assert find_key_error(ads(VALID, VALID | row), KEY, "7001") == error
    assert find_key_error(ads(), KEY, "7001") is None
