"""Laws of all checks over a stored account: a sound store passes every one, a broken one fails the right one."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from tiktok_assets.defs.checks import build_table_reader
from tiktok_assets.ingest.accounts import load_accounts
from tiktok_assets.ingest.partitions import IS_COMPLETE_KEY
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.quality.checks import evaluate_checks, select_checks
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_reader import CheckContext
from tiktok_assets.spec.entities import LISTED_ENTITIES
from tiktok_assets.storage.files import PARTITION_FILE_NAME
from tiktok_assets.storage.hive_store import HiveStore, Partition
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import PLAN, desk_at

DAY = timedelta(1)
START = date(2026, 9, 30)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CheckContext, Path]]:
    """A week of the small agency, refreshed at half past noon; what the checks see of it, and its folder."""
    folder = tmp_path_factory.mktemp("filled")
    with Host.run(PLAN) as host, desk_at(host, folder, start_date=str(START)) as desk:
        session, settings = desk.session, desk.settings
        refresh_advertisers(session.reader, session.store, session.advertiser_ids)
        made = [
            outcome
            for entity in LISTED_ENTITIES
            for outcome in refresh_entity(session.reader, session.store, entity, session.advertiser_ids)
        ]
        accounts, _ = load_accounts(session.reader, session.store, settings, session.advertiser_ids)
        for report in settings.chosen_reports:
            days = {one: [START + n * DAY for n in range((one.today(desk.now) - START).days)] for one in accounts}
            made += refresh_report(session.reader, session.store, report, days)
        assert all(hasattr(outcome, "rows") for outcome in made)
        yield build_table_reader(settings, session, days=30), Path(settings.data_dir)


@pytest.fixture
def archive(filled: tuple[CheckContext, Path], tmp_path: Path) -> CheckContext:
    """The same over a copy of the tables, to be broken."""
    whole, folder = filled
    shutil.copytree(folder, tmp_path / "data")
    return replace(whole, store=HiveStore(str(tmp_path / "data")), _known={})


def findings(archive: CheckContext) -> Mapping[tuple[str, str], CheckOutcome]:
    """What every check of every table finds, by table and check."""
    return {
        (table, name): finding
        for table, subject in archive.subjects.items()
        for name, finding in evaluate_checks(
            archive, table, {one.name: one for one in select_checks(subject)}
        ).findings.items()
    }


def failing(archive: CheckContext) -> set[tuple[str, str]]:
    """The checks that do not pass."""
    return {key for key, finding in findings(archive).items() if not finding.passed}


def test_a_sound_store_passes_every_check(filled: tuple[CheckContext, Path]) -> None:
    """After a refresh nothing speaks against any table, and all levels add up to the last digit."""
    found = findings(filled[0])
    assert {key: finding.faults for key, finding in found.items() if not finding.passed} == {}
    gaps = [figure for key, finding in found.items() for figure in finding.figures if key[1] == "levels_agree"]
    assert {Decimal(figure["gap"]) for figure in gaps} == {0}
    assert {figure["metric"] for figure in gaps} >= {"spend", "impressions", "clicks", "conversion"}


def test_an_empty_store_says_what_is_missing(filled: tuple[CheckContext, Path], tmp_path: Path) -> None:
    """Before the first refresh every check can be asked, and none of them is an exception."""
    empty = replace(filled[0], store=HiveStore(str(tmp_path)), _known={})
    assert failing(empty) == set()
    named = replace(empty, wanted=["7001"], zones={"7001": "UTC"}, currencies={"7001": "EUR"})
    reports = {table for table, subject in named.subjects.items() if subject.is_report_by_day}
    assert failing(named) == {(table, name) for table in reports for name in ("no_holes", "complete_yesterday")}


Breaking = Callable[[pl.DataFrame], pl.DataFrame]

BREAKINGS: Mapping[str, tuple[str, Breaking, set[str]]] = {
    "a row twice": (
        "ad_report_daily",
        lambda rows: pl.concat([rows, rows[:1]]),
        {"keys_name_rows", "levels_agree"},
    ),
    "a row lost": ("ad_report_daily", lambda rows: rows[1:], {"levels_agree"}),
    "all rows lost": ("ad_report_daily", lambda rows: rows.clear(), {"levels_agree", "no_row_drop"}),
    "spend below zero": (
        "ad_group_report_lifetime",
        lambda rows: rows.with_columns(spend=-pl.col("spend")),
        {"no_negative_spend", "levels_agree"},
    ),
    "money as a float": (
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
    "a column of tomorrow": ("ads", lambda rows: rows.with_columns(tomorrow=pl.lit(1)), set()),
    "a column of yesterday": ("ads", lambda rows: rows.drop("ad_text"), set()),
}


@pytest.mark.parametrize("case", BREAKINGS)
def test_a_broken_partition_fails_its_check_and_no_other(archive: CheckContext, case: str) -> None:
    """Each way of breaking the newest partition of a table fails the checks that exist for it, there alone."""
    table, breaking, names = BREAKINGS[case]
    store = archive.store
    partition = newest(store, table)
    store.write(table, partition, breaking(_rows(store, table, partition)), notes=store.notes(table, partition))
    above = {"ad_group_report_lifetime": {("ad_report_lifetime", "levels_agree")}}.get(table, set())
    assert failing(archive) == {(table, name) for name in names} | above


def newest(store: HiveStore, table: str) -> Partition:
    """The newest partition that has rows and is, where it is a day, complete."""
    stored = [one for one in store.partitions(table) if _rows(store, table, one).height]
    whole = [one for one in stored if (store.notes(table, one) or {}).get(IS_COMPLETE_KEY, "true") == "true"]
    return max(whole, key=lambda one: one.day or START)


def _rows(store: HiveStore, table: str, partition: Partition) -> pl.DataFrame:
    rows = store.open(table, partition)
    assert rows is not None
    return rows.collect()


def test_a_deleted_snapshot_leaves_strangers(archive: CheckContext) -> None:
    """Where an account's ads are listed no longer, each of its reports names an ad that nobody knows."""
    store = archive.store
    partition = newest(store, "ads")
    store.write("ads", partition, _rows(store, "ads", partition).clear())
    assert failing(archive) == {(f"ad_report_{kind}", "known_parents") for kind in ("daily", "lifetime")}


def test_a_file_that_is_none_is_named_and_the_others_are_looked_at(archive: CheckContext) -> None:
    """A spoiled file fails the check of the schema by its partition, and breaks no other check."""
    table = "ad_report_daily"
    partition = newest(archive.store, table)
    Path(str(archive.store.base), table, partition.folder, PARTITION_FILE_NAME).write_bytes(b"PAR1 but not really")
    found = findings(archive)
    assert {key for key, one in found.items() if not one.passed} >= {(table, "declared_schema")}
    (fault,) = found[table, "declared_schema"].faults
    assert (fault["partition"], fault["stored"]) == (partition.folder, "cannot be read")
    assert found[table, "levels_agree"].passed


def test_a_lost_day_is_a_hole(archive: CheckContext) -> None:
    """A day whose file is gone is named with its account; where it is yesterday, the other check tells too."""
    days = [one for one in archive.store.partitions("ad_report_daily") if one.day]
    owner = days[0].advertiser_id
    theirs = [one for one in days if one.advertiser_id == owner]
    for partition, names in ((theirs[2], {"no_holes"}), (theirs[-1], {"no_holes", "complete_yesterday"})):
        Path(str(archive.store.base), "ad_report_daily", partition.folder, PARTITION_FILE_NAME).unlink()
        found = findings(archive)
        assert {key for key, one in found.items() if not one.passed} == {
            ("ad_report_daily", name) for name in names if name == "complete_yesterday" or partition == theirs[2]
        } | {("ad_report_daily", "no_holes")}
    (hole,) = found["ad_report_daily", "no_holes"].faults
    assert (hole["advertiser_id"], hole["missing"]) == (owner, f"{theirs[2].day}..{theirs[2].day}")


def test_two_days_without_a_refresh_are_told(archive: CheckContext) -> None:
    """Two days later every daily report says of every account when it was last read; nothing else fails."""
    later = replace(archive, now=archive.now + 2 * DAY)
    daily = {table for table, subject in later.subjects.items() if subject.is_report_by_day}
    assert failing(later) == {(table, "complete_yesterday") for table in daily}


def test_an_account_without_zone_fails_one_check(archive: CheckContext) -> None:
    """An account that tells no zone fails a single check, which names it; its stored rows are still looked at."""
    store = archive.store
    rows = _rows(store, "advertisers", Partition())
    nameless = pl.lit(None, pl.String)
    first = pl.col("advertiser_id") == rows.get_column("advertiser_id")[0]
    broken = [
        pl.when(first).then(nameless).otherwise(pl.col(n)).alias(n) for n in ("timezone", "display_timezone")
    ]
    store.write("advertisers", Partition(), rows.with_columns(broken))
    assert failing(archive) == {("advertisers", "accounts_tell_zone_and_currency")}


def test_a_life_that_is_not_its_days_is_told(archive: CheckContext) -> None:
    """Where the stored days reach the account's first, a life that is not their sum fails; else nobody judges."""
    table = "campaign_report_lifetime"
    check = {one.name: one for one in select_checks(archive.subjects[table])}["life_is_its_days"]
    unjudged = evaluate_checks(archive, table, {"it": check}).findings["it"]
    assert unjudged.passed
    assert all("was not judged: the stored days begin on 2026-09-30" in note for note in unjudged.notes)
    rows = _rows(archive.store, "advertisers", Partition())
    young = pl.lit(archive.now - 5 * DAY).cast(rows.schema["create_time"])
    archive.store.write("advertisers", Partition(), rows.with_columns(create_time=young))
    judged = evaluate_checks(replace(archive, _known={}), table, {"it": check}).findings["it"]
    assert len(judged.figures) == 3  # the world is older than what is stored of it, so its life is longer
    assert judged.count == 3
    assert all(Decimal(fault["gap"]) > 0 for fault in judged.faults)


def test_the_days_looked_at_are_a_choice(archive: CheckContext) -> None:
    """A fault older than the days looked at is found when all days are."""
    table = "ad_report_daily"
    oldest = next(one for one in archive.store.partitions(table) if _rows(archive.store, table, one).height)
    rows = _rows(archive.store, table, oldest)
    archive.store.write(table, oldest, pl.concat([rows, rows]), notes=archive.store.notes(table, oldest))
    assert (table, "keys_name_rows") not in failing(replace(archive, days=3))
    assert (table, "keys_name_rows") in failing(replace(archive, days=0))
