"""Test all checks on a stored account: a correct store passes them, and a damaged store fails the right ones."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tiktok_assets.defs.checks import build_check_context
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import IS_COMPLETE_KEY
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.quality.check_catalog import evaluate_checks, select_checks
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_reader import CheckContext
from tiktok_assets.spec.entities import LISTED_ENTITIES
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import PLAN, open_deployment

DAY = timedelta(1)
START = date(2026, 9, 30)


@pytest.fixture(scope="module")
def filled_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CheckContext, Path]]:
    """Refresh one week of the small agency at 12:30 UTC; yield the check context and the data folder."""
    folder = tmp_path_factory.mktemp("filled_store")
    with Host.run(PLAN) as host, open_deployment(host, folder, start_date=str(START)) as desk:
        session, settings = desk.session, desk.settings
        refresh_advertisers(session.reader, session.store, session.advertiser_ids)
        results = [
            outcome
            for entity in LISTED_ENTITIES
            for outcome in refresh_entity(session.reader, session.store, entity, session.advertiser_ids)
        ]
        accounts, _ = load_accounts(session.reader, session.store, settings, session.advertiser_ids)
        for report in settings.chosen_reports:
            days = {one: [START + n * DAY for n in range((one.today(desk.now) - START).days)] for one in accounts}
            results += refresh_report(session.reader, session.store, report, days)
        assert all(hasattr(outcome, "rows") for outcome in results)
        yield build_check_context(settings, session, days=30), Path(settings.data_dir)


@pytest.fixture
def context(filled_store: tuple[CheckContext, Path], tmp_path: Path) -> CheckContext:
    """Return a check context on a copy of the tables, which a test may damage."""
    original, folder = filled_store
    shutil.copytree(folder, tmp_path / "data")
    return replace(original, store=HiveStore(str(tmp_path / "data")), _known_ids={})


def evaluate_all(context: CheckContext) -> Mapping[tuple[str, str], CheckOutcome]:
    """Evaluate every check of every table; return the outcomes by table and check."""
    return {
        (table, name): outcome
        for table, checked in context.tables.items()
        for name, outcome in evaluate_checks(
            context, table, {one.name: one for one in select_checks(checked)}
        ).outcomes.items()
    }


def failing(context: CheckContext) -> set[tuple[str, str]]:
    """Return the table and name of each check that fails."""
    return {key for key, outcome in evaluate_all(context).items() if not outcome.passed}


@pytest.mark.slow
def test_a_refreshed_store_passes_every_check(filled_store: tuple[CheckContext, Path]) -> None:
    """After a refresh every check passes, and all levels add up exactly."""
    outcomes = evaluate_all(filled_store[0])
    assert {key: outcome.faults for key, outcome in outcomes.items() if not outcome.passed} == {}
    gaps = [figure for key, outcome in outcomes.items() for figure in outcome.figures if key[1] == "levels_agree"]
    assert {Decimal(figure["gap"]) for figure in gaps} == {0}
    assert {figure["metric"] for figure in gaps} >= {"spend", "impressions", "clicks", "conversion"}


def test_checks_of_an_empty_store_do_not_raise(filled_store: tuple[CheckContext, Path], tmp_path: Path) -> None:
    """Before the first refresh every check can be evaluated; accounts of the settings lack their days."""
    empty = replace(filled_store[0], store=HiveStore(str(tmp_path)), _known_ids={})
    assert failing(empty) == set()
    with_settings = replace(empty, advertiser_ids=["7001"], timezones={"7001": "UTC"}, currencies={"7001": "EUR"})
    reports = {
        table
        for table, checked in with_settings.tables.items()
        if checked.is_daily_report and not checked.needs_shop and not (checked.report and checked.report.condition)
    }
    assert failing(with_settings) == {
        (table, name) for table in reports for name in ("no_holes", "complete_yesterday")
    }


Damage = Callable[[pl.DataFrame], pl.DataFrame]

DAMAGES: Mapping[str, tuple[str, Damage, set[str]]] = {
    "a duplicate row": (
        "ad_report_daily",
        lambda rows: pl.concat([rows, rows[:1]]),
        {"keys_name_rows", "levels_agree"},
    ),
    "a lost row": ("ad_report_daily", lambda rows: rows[1:], {"levels_agree"}),
    "no rows": ("ad_report_daily", lambda rows: rows.clear(), {"levels_agree", "no_row_drop"}),
    "negative spend": (
        "ad_group_report_lifetime",
        lambda rows: rows.with_columns(spend=-pl.col("spend")),
        {"no_negative_spend", "levels_agree"},
    ),
    "an amount as a float": (
        "campaign_report_daily",
        lambda rows: rows.with_columns(pl.col("spend").cast(pl.Float64)),
        {"declared_schema"},
    ),
    "a new status": (
        "ads",
        lambda rows: rows.with_columns(secondary_status=pl.lit("AD_STATUS_NEW")),
        {"known_values"},
    ),
    "a new objective": (
        "campaigns",
        lambda rows: rows.with_columns(objective_type=pl.lit("MARS")),
        {"known_values"},
    ),
    "a new budget mode": (
        "ad_groups",
        lambda rows: rows.with_columns(budget_mode=pl.lit("HOURLY")),
        {"known_values"},
    ),
    "a new field": ("ads", lambda rows: rows.with_columns(extra=pl.lit('{"brand_new":1}')), {"known_fields"}),
    "a new field of a report": (
        "ad_report_lifetime",
        lambda rows: rows.with_columns(extra=pl.lit('{"brand_new":1}')),
        {"known_fields"},
    ),
    "a column of a newer release": ("ads", lambda rows: rows.with_columns(added_later=pl.lit(1)), set()),
    "a column missing from an older file": ("ads", lambda rows: rows.drop("ad_text"), set()),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", DAMAGES)
def test_a_damaged_partition_fails_its_check_and_no_other(context: CheckContext, case: str) -> None:
    """Each damage to the newest partition of a table fails the checks for it, and no others."""
    table, damage, names = DAMAGES[case]
    store = context.store
    partition = find_newest(store, table)
    store.write(
        table,
        partition,
        damage(_read_rows(store, table, partition)),
        metadata=store.read_metadata(table, partition),
    )
    above = {"ad_group_report_lifetime": {("ad_report_lifetime", "levels_agree")}}.get(table, set())
    assert failing(context) == {(table, name) for name in names} | above


def find_newest(store: HiveStore, table: str) -> Partition:
    """Return the newest partition that has rows and is complete."""
    stored = [one for one in store.partitions(table) if _read_rows(store, table, one).height]
    complete = [
        one for one in stored if (store.read_metadata(table, one) or {}).get(IS_COMPLETE_KEY, "true") == "true"
    ]
    return max(complete, key=lambda one: one.day or START)


def _read_rows(store: HiveStore, table: str, partition: Partition) -> pl.DataFrame:
    rows = store.scan_partition(table, partition)
    assert rows is not None
    return rows.collect()


@pytest.mark.slow
def test_rows_without_a_known_parent_fail(context: CheckContext) -> None:
    """If the snapshot of ads is empty, every ad report has unknown ads."""
    store = context.store
    partition = find_newest(store, "ads")
    store.write("ads", partition, _read_rows(store, "ads", partition).clear())
    assert failing(context) == {(f"ad_report_{kind}", "known_parents") for kind in ("daily", "lifetime")}


def test_an_unreadable_file_fails_only_the_schema_check(context: CheckContext) -> None:
    """An unreadable file fails the schema check with its partition, and no other check."""
    table = "ad_report_daily"
    partition = find_newest(context.store, table)
    Path(str(context.store.base), table, partition.folder, PARTITION_FILE_NAME).write_bytes(b"PAR1 but not really")
    outcomes = evaluate_all(context)
    assert {key for key, one in outcomes.items() if not one.passed} >= {(table, "declared_schema")}
    (fault,) = outcomes[table, "declared_schema"].faults
    assert (fault["partition"], fault["stored"]) == (partition.folder, "cannot be read")
    assert outcomes[table, "levels_agree"].passed


@pytest.mark.slow
def test_a_missing_day_is_listed_with_its_account(context: CheckContext) -> None:
    """A missing day fails `no_holes` with its account; a missing yesterday fails `complete_yesterday` too."""
    days = [one for one in context.store.partitions("ad_report_daily") if one.day]
    owner = days[0].advertiser_id
    of_owner = [one for one in days if one.advertiser_id == owner]
    for partition, names in ((of_owner[2], {"no_holes"}), (of_owner[-1], {"no_holes", "complete_yesterday"})):
        Path(str(context.store.base), "ad_report_daily", partition.folder, PARTITION_FILE_NAME).unlink()
        outcomes = evaluate_all(context)
        assert {key for key, one in outcomes.items() if not one.passed} == {
            ("ad_report_daily", name) for name in names if name == "complete_yesterday" or partition == of_owner[2]
        } | {("ad_report_daily", "no_holes")}
    (gap,) = outcomes["ad_report_daily", "no_holes"].faults
    assert (gap["advertiser_id"], gap["missing"]) == (owner, f"{of_owner[2].day}..{of_owner[2].day}")


def test_two_days_without_a_refresh_fail_every_daily_report(context: CheckContext) -> None:
    """After two days without a refresh every daily report fails `complete_yesterday`, except those of no shop."""
    later = replace(context, now=context.now + 2 * DAY)
    daily = {
        table
        for table, checked in later.tables.items()
        if checked.report and checked.is_daily_report and not checked.report.condition
    }
    assert failing(later) == {(table, "complete_yesterday") for table in daily}


def test_an_account_without_time_zone_fails_one_check(context: CheckContext) -> None:
    """An account without time zone fails a single check; its stored rows are still checked."""
    store = context.store
    rows = _read_rows(store, "advertisers", Partition())
    null = pl.lit(None, pl.String)
    first = pl.col("advertiser_id") == rows.get_column("advertiser_id")[0]
    broken = [pl.when(first).then(null).otherwise(pl.col(n)).alias(n) for n in ("timezone", "display_timezone")]
    store.write("advertisers", Partition(), rows.with_columns(broken))
    assert failing(context) == {("advertisers", "accounts_tell_zone_and_currency")}


def test_lifetime_spend_that_differs_from_its_days_fails(context: CheckContext) -> None:
    """Lifetime spend that is not the sum of the days fails only if the stored days include the first one."""
    table = "campaign_report_lifetime"
    check = {one.name: one for one in select_checks(context.tables[table])}["life_is_its_days"]
    not_compared = evaluate_checks(context, table, {check.name: check}).outcomes[check.name]
    assert not_compared.passed
    assert all("was not checked: the stored days begin on 2026-09-30" in note for note in not_compared.notes)
    rows = _read_rows(context.store, "advertisers", Partition())
    created_lately = pl.lit(context.now - 5 * DAY).cast(rows.schema["create_time"])
    context.store.write("advertisers", Partition(), rows.with_columns(create_time=created_lately))
    compared = evaluate_checks(replace(context, _known_ids={}), table, {check.name: check}).outcomes[check.name]
    assert len(compared.figures) == 3  # the sandbox world is older than the stored days
    assert compared.count == 3
    assert all(Decimal(fault["gap"]) > 0 for fault in compared.faults)


@pytest.mark.slow
def test_the_number_of_checked_days_can_be_chosen(context: CheckContext) -> None:
    """A fault in an old day is found only if all days are checked."""
    table = "ad_report_daily"
    oldest = next(one for one in context.store.partitions(table) if _read_rows(context.store, table, one).height)
    rows = _read_rows(context.store, table, oldest)
    context.store.write(
        table, oldest, pl.concat([rows, rows]), metadata=context.store.read_metadata(table, oldest)
    )
    assert (table, "keys_name_rows") not in failing(replace(context, days=3))
    assert (table, "keys_name_rows") in failing(replace(context, days=0))
