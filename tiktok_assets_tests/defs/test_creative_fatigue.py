"""Test the declines of creatives as a table, a check and alerts, against the truth of a sandbox."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.alert_sensors import queue_failure_alerts
from tiktok_assets.defs.checks import CHECK_TABLES_JOB, get_check_step_name
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.storage.state import outbox
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import PLAN, WEDNESDAY, Deployment, open_deployment

WORN = WorldPlan(
    anchor=WEDNESDAY,
    days=75,
    advertisers=1,
    campaigns=2,
    ad_groups=2,
    ads=4,
    smart_plus=False,
    worn_creatives=True,
)
WINDOW = DateWindow(date(2026, 8, 25), date(2026, 10, 6))
REPORTS = "ad_report_daily,ad_report_lifetime"


@pytest.fixture(scope="module")
def worn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Return a deployment of an account with a creative that wears out, after a refresh."""
    with (
        Host.run(WORN) as host,
        open_deployment(
            host, tmp_path_factory.mktemp("worn"), reports=REPORTS, start_date=str(WINDOW.first)
        ) as deployment,
    ):
        ids = deployment.add_partitions()
        assert deployment.run_range("refresh_accounts", ids).success
        assert deployment.run_range("refresh_daily", ids, WINDOW).success
        assert deployment.run_range("refresh_derived", ids, tables=["creatives", "creative_declines"]).success
        yield deployment


def list_kinds(deployment: Deployment) -> list[str]:
    """Return the kind of each alert in the outbox."""
    with deployment.session.state.transaction() as connection:
        return list(connection.scalars(sa.select(outbox.c.kind)))


@pytest.mark.slow
def test_planted_decline_is_found_and_told(worn: Deployment) -> None:
    """The creative that wears out in truth, and no other, has a row and an alert; another refresh adds none."""
    (truth,) = worn.host.ground_truth("declines")
    for _ in range(2):
        (row,) = worn.read_table("creative_declines").to_dicts()
        assert (row["creative_id"], row["status"], row["is_told"]) == (truth["creative_id"], "declining", True)
        assert abs((row["since"] - date.fromisoformat(truth["since"])).days) <= int(truth["days"])
        assert row["drop"] == pytest.approx(float(truth["loss"]), abs=0.15)
        assert row["replacement_spend"] > row["replacement_spend_before"]
        assert list_kinds(worn) == ["creative_fatigue"]
        assert worn.run_range("refresh_derived", worn.advertiser_ids, tables=["creative_declines"]).success


@pytest.mark.slow
def test_check_lists_the_decline_without_another_alert(worn: Deployment) -> None:
    """The check of `creatives` warns and names the creative; the alert about checks leaves it out."""
    job = worn.definitions.resolve_job_def(CHECK_TABLES_JOB)
    steps = [get_check_step_name(worn.settings, "creatives")]
    result = job.execute_in_process(instance=worn.instance, op_selection=steps)
    (failed,) = [one for one in result.get_asset_check_evaluations() if not one.passed]
    assert (failed.check_name, failed.severity.value) == ("creative_fatigue", "WARN")
    assert failed.description
    assert failed.description.startswith("1 found; the first: advertiser_id ")
    since = WEDNESDAY - timedelta(365)
    assert queue_failure_alerts(worn.settings, worn.session.state, worn.instance, since)[0] == []


def test_declines_can_be_switched_off(tmp_path: Path) -> None:
    """With TIKTOK_FATIGUE_DROP=0 there is no table of declines, and the check passes."""
    with (
        Host.run(replace(PLAN, advertisers=1, days=3)) as host,
        open_deployment(host, tmp_path, fatigue_drop="0", reports=REPORTS) as deployment,
    ):
        ids = deployment.add_partitions()
        graph = deployment.definitions.resolve_asset_graph()
        assert "creative_declines" not in {key.to_user_string() for key in graph.get_all_asset_keys()}
        assert deployment.run_range("refresh_derived", ids, tables=["creatives"]).success
        job = deployment.definitions.resolve_job_def(CHECK_TABLES_JOB)
        steps = [get_check_step_name(deployment.settings, "creatives")]
        evaluations = job.execute_in_process(
            instance=deployment.instance, op_selection=steps
        ).get_asset_check_evaluations()
        assert all(one.passed for one in evaluations)
