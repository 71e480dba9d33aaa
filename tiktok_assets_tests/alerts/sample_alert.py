"""A sample alert for tests: facts of a flag, with an ad name full of markup."""

from datetime import UTC, datetime
from typing import Any

from tiktok_assets.alerts.outbox import Alert
from tiktok_assets.alerts.picture import AlertPicture
from tiktok_assets.duplication.approvals import ApprovalCode
from tiktok_assets.settings import load_settings
from tiktok_assets.top_spenders.alert import build_top_spender_alert

HOSTILE_NAME = "<script>alert(1)</script> *bold* _x_ `code` | @channel <!here> [go](http://e.example/)\n# big"
FACTS: dict[str, Any] = {
    "advertiser_id": "7001",
    "advertiser_name": "Nordlicht & Söhne",
    "campaign_id": "1800000000000000001",
    "campaign_name": "Summer_Sale|EU",
    "currency": "EUR",
    "ad_id": "1800000000000000077",
    "ad_name": HOSTILE_NAME,
    "ad_group_id": "1800000000000000055",
    "ad_group_name": "Broad 25-44",
    "spend": "1234.5000",
    "campaign_spend": "3000.0000",
    "share": 0.4115,
    "runner_up_ad_id": "1800000000000000078",
    "runner_up_ad_name": "夏の動画 UGC 3 🎬",
    "runner_up_spend": "1100.0000",
    "lead": 0.12227,
    "ads": 6,
    "leads_since": "2026-11-20T12:31:00+00:00",
    "complete_until": "2026-11-19",
    "spend_3d": "200.0000",
    "campaign_spend_3d": "400.0000",
    "rank_3d": 1,
    "top_3d_ad_id": "1800000000000000077",
    "spend_7d": "300.0000",
    "campaign_spend_7d": "800.0000",
    "rank_7d": 2,
    "top_7d_ad_id": "1800000000000000078",
    "top_7d_ad_name": "夏の動画 UGC 3 🎬",
    "spend_30d": None,
    "fetched_at": "2026-11-20T12:31:00+00:00",
}
CODE = ApprovalCode("ABCDEF-GHIJKL-MNOPQR-STUVWX", datetime(2026, 11, 27, 12, 31, tzinfo=UTC))


PICTURE = AlertPicture(
    heading="New top spender",
    title=HOSTILE_NAME,
    subtitle="Summer_Sale|EU",
    figures=(
        ("Lifetime spend", "1,234.50 EUR"),
        ("Share of campaign", "41.2%"),
        ("Lead over second", "12.2%"),
        ("Hook rate, 7 days", "31.0%"),
        ("Hold rate, 7 days", "44.9%"),
    ),
    series=(20.0, 35.0, None, 61.5, 48.0, 80.25, 120.0),
    series_label="Spend a day, 7 days to 19 Nov 2026",
    series_note="highest 120.00 EUR",
    thumbnail=None,
    key="1800000000000000077",
    alt=f'Cover of the ad {HOSTILE_NAME}: "spend" 1,234.50 EUR',
    file_name="new-top-spender-sample.png",
)


def build_sample_alert(alert_id: str = "9f2c1b7a33d04e15", *, mode: str = "propose", **facts: Any) -> Alert:  # noqa: ANN401 - JSON values
    """Build the alert about the sample facts."""
    settings = load_settings(scaling_mode=mode, scaling_campaigns="7001:1800000000000000555")
    return build_top_spender_alert(alert_id, {**FACTS, **facts}, settings, None if mode == "alert" else CODE)


def build_alert_with_picture(alert_id: str) -> Alert:
    """Build the alert about the sample facts, with the sample picture."""
    return build_top_spender_alert(alert_id, FACTS, load_settings(), None, PICTURE)
