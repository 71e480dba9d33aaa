"""A sample alert for tests: facts of a flag, with an ad name full of markup."""

from datetime import UTC, datetime
from typing import Any

from tiktok_assets.alerts.outbox import Alert
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


def build_sample_alert(alert_id: str = "9f2c1b7a33d04e15", *, mode: str = "propose", **facts: Any) -> Alert:  # noqa: ANN401 - JSON values
    """Build the alert about the sample facts."""
    settings = load_settings(scaling_mode=mode, scaling_campaigns="7001:1800000000000000555")
    return build_top_spender_alert(alert_id, {**FACTS, **facts}, settings, None if mode == "alert" else CODE)
