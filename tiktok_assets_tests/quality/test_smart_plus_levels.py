"""Tests of the check that compares Upgraded Smart+ ads with their creatives, materials and ad groups."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tiktok_assets.defs.checks import build_check_context
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.quality.check_catalog import evaluate_checks, select_checks
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_reader import CheckContext
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.entities import LISTED_ENTITIES
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import open_deployment

NAME = "smart_plus_levels_agree"
LEVELS = {
    "creatives of Smart+ ads",
    "main materials of Smart+ ads",
    "Smart+ ads of ad groups",
    "ad groups of campaigns",
}


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CheckContext, Path]]:
    """Refresh three days of three accounts, of which the third has an Upgraded Smart+ campaign."""
    folder = tmp_path_factory.mktemp("filled_store")
    with (
        Host.run(WorldPlan(days=75, advertisers=3)) as host,
        open_deployment(host, folder, start_date="2026-11-01") as desk,
    ):
        session, settings = desk.session, desk.settings
        refresh_advertisers(session.reader, session.store, session.advertiser_ids)
        for entity in LISTED_ENTITIES:
            list(refresh_entity(session.reader, session.store, entity, session.advertiser_ids))
        accounts, _ = load_accounts(session.reader, session.store, settings, session.advertiser_ids)
        days = [session.now().date() - timedelta(n) for n in (4, 3, 2)]
        for report in settings.chosen_reports:
            list(refresh_report(session.reader, session.store, report, dict.fromkeys(accounts, days)))
        yield build_check_context(settings, session, days=30), Path(settings.data_dir)


@pytest.fixture
def context(filled_store: tuple[CheckContext, Path], tmp_path: Path) -> CheckContext:
    """Return a check context on a copy of the tables, which a test may damage."""
    original, folder = filled_store
    shutil.copytree(folder, tmp_path / "data")
    return replace(original, store=HiveStore(str(tmp_path / "data")), _known_ids={})


def evaluate(context: CheckContext, table: str) -> CheckOutcome:
    """Evaluate the check of a table."""
    checks = {one.name: one for one in select_checks(context.tables[table]) if one.name == NAME}
    return evaluate_checks(context, table, checks).outcomes[NAME]


def add_a_cent(context: CheckContext, table: str) -> None:
    """Add a cent to the first Smart+ row of the newest day of a table; a table without campaigns has no others."""
    (owner,) = {one.advertiser_id for one in context.store.partitions("smart_plus_ad_report_daily")}
    partition = max(context.store.partitions(table, [str(owner)]))
    path = Path(str(context.store.base), table, partition.folder, PARTITION_FILE_NAME)
    rows = pl.read_parquet(path)
    campaign = rows.get_column("campaign_name") if "campaign_name" in rows.columns else None
    first = 0 if campaign is None else campaign.str.starts_with("Smart+").arg_true()[0]
    more = (
        pl.when(pl.int_range(pl.len()) == first).then(pl.lit(Decimal("0.01"))).otherwise(pl.lit(Decimal("0.00")))
    )
    changed = rows.with_columns((pl.col("spend") + more).cast(rows.schema["spend"]))
    kept = {name: text for name, text in pl.read_parquet_metadata(path).items() if not name.startswith("ARROW")}
    changed.write_parquet(path, metadata=kept)


@pytest.mark.slow
@pytest.mark.parametrize("table", ["smart_plus_ad_report_daily", "smart_plus_ad_report_lifetime"])
def test_every_level_of_smart_plus_adds_up_exactly(context: CheckContext, table: str) -> None:
    """Creatives and materials sum to ads, ads to ad groups and these to campaigns, with a gap of zero each."""
    outcome = evaluate(context, table)
    assert outcome.passed
    assert {figure["levels"] for figure in outcome.figures} == LEVELS
    assert {Decimal(figure["gap"]) for figure in outcome.figures} == {0}
    spend = {Decimal(one["upper"]) for one in outcome.figures if one["metric"] == "spend"}
    assert len(spend) == 1
    assert min(spend) > 0


@pytest.mark.parametrize(
    ("table", "levels"),
    [
        ("ad_report_daily", {"creatives of Smart+ ads"}),
        ("smart_plus_creative_report_daily", {"main materials of Smart+ ads"}),
        ("ad_group_report_daily", {"Smart+ ads of ad groups", "ad groups of campaigns"}),
        ("campaign_report_daily", {"ad groups of campaigns"}),
        (
            "smart_plus_ad_report_daily",
            {"creatives of Smart+ ads", "main materials of Smart+ ads", "Smart+ ads of ad groups"},
        ),
    ],
)
def test_a_cent_is_a_fault_that_shows_its_gap(context: CheckContext, table: str, levels: set[str]) -> None:
    """One cent more at a level is a fault between it and its neighbours, with the gap; others agree."""
    add_a_cent(context, table)
    outcome = evaluate(context, "smart_plus_ad_report_daily")
    assert {fault["levels"] for fault in outcome.faults} == levels
    assert {abs(Decimal(fault["gap"])) for fault in outcome.faults} == {Decimal("0.01")}
    assert {fault["metric"] for fault in outcome.faults} == {"spend"}


def test_accounts_without_smart_plus_are_not_missing_days(context: CheckContext) -> None:
    """Only the account with an Upgraded Smart+ campaign is expected to have days of its reports."""
    later = replace(context, now=context.now + timedelta(2))
    checks = {one.name: one for one in select_checks(context.tables["smart_plus_ad_report_daily"])}
    outcomes = evaluate_checks(later, "smart_plus_ad_report_daily", checks).outcomes
    owners = {fault["advertiser_id"] for fault in outcomes["complete_yesterday"].faults}
    assert len(owners) == 1
    assert owners == {str(one.advertiser_id) for one in context.store.partitions("smart_plus_ad_report_daily")}
