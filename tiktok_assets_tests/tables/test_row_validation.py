"""Laws of what is refused before it replaces what stands."""

from typing import Any

import pytest

from tiktok_assets.tables.row_validation import find_key_error
from tiktok_assets_tests.quality.sample_frames import ads

KEY = ("advertiser_id", "date", "ad_id")
SOUND = {"ad_id": "111", "spend": "2.5", "clicks": 0}


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"ad_id": "112"}, None),
        ({"ad_id": "112", "spend": "-1"}, None),  # kept as TikTok says it; a check tells
        ({"ad_id": "112", "advertiser_id": "7002"}, "1 rows belong to another account"),
        ({"ad_id": "112", "advertiser_id": None}, "1 rows belong to another account"),
        ({"ad_id": None}, "1 rows have no ad_id"),
        ({}, "2 rows have duplicate keys, the first is 7001, 2026-03-02, 111"),
    ],
)
def test_rows_no_contract_allows_are_named(row: dict[str, Any], why: str | None) -> None:
    """Rows of another account, without a key, or of one key are refused in one clause."""
    assert find_key_error(ads(SOUND, SOUND | row), KEY, "7001") == why
    assert find_key_error(ads(), KEY, "7001") is None
