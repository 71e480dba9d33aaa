"""Laws of the check on metrics: it fails and names what TikTok refuses to serve, and passes otherwise."""

from datetime import date

import dagster as dg
import pytest

from tiktok_assets.api.plan import Window
from tiktok_assets.defs.telling import ALL_METRICS_SERVED
from tiktok_assets_tests.defs.conftest import DeskMaker

WINDOW = Window(date(2026, 10, 3), date(2026, 10, 4))


@pytest.mark.parametrize(
    ("job", "table"), [("refresh_daily", "ad_report_daily"), ("refresh_lifetime", "campaign_report_lifetime")]
)
@pytest.mark.parametrize("metrics", ["+total_purchase_value", "spend,clicks"])
def test_the_check_names_the_metrics_that_were_refused(
    make_desk: DeskMaker, job: str, table: str, metrics: str
) -> None:
    """A report with a withdrawn metric lands without it, says so, and its check warns; without one it passes."""
    desk = make_desk(metrics=metrics)
    desk.host.control("POST", "switches", withdrawn_metrics=["total_purchase_value"])
    ids = desk.know()
    result = desk.run_range(job, ids[:2], WINDOW if "daily" in table else None, [table])
    assert result.success
    (check,) = [one for one in result.get_asset_check_evaluations() if one.check_name == ALL_METRICS_SERVED]
    assert (check.asset_key.path, check.check_name) == ([table], ALL_METRICS_SERVED)
    assert check.severity == dg.AssetCheckSeverity.WARN
    withdrawn = "total_purchase_value" if metrics.startswith("+") else None
    assert check.passed is (withdrawn is None)
    assert {name: value.value for name, value in check.metadata.items()} == (
        {"withdrawn_metrics": withdrawn} if withdrawn else {}
    )
    events = desk.recorded(table)
    assert len(events) == len(ids[:2]) * (len(WINDOW.days) if "daily" in table else 1)
    assert {facts.get("withdrawn_metrics") for _, facts in events} == {withdrawn}
    stored = desk.table(table)
    assert stored.height
    assert stored.get_column("spend").null_count() == 0
    if withdrawn:
        assert stored.get_column(withdrawn).null_count() == stored.height
