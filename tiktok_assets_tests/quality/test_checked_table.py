"""Test that every stored table is described and checked from its declaration alone."""

import polars as pl
import pytest

from tiktok_assets.defs.checks import build_all_checked_tables
from tiktok_assets.quality.check_catalog import CHECKS, select_checks
from tiktok_assets.quality.checked_table import CheckedTable
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.row_checks import check_declared_schema
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.reports import REPORTS
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.quality.sample_frames import ads

ALL_TABLES = build_all_checked_tables(
    load_settings(reports=",".join(f"+{report.table}" for report in REPORTS if not report.is_standard))
)

each_table = pytest.mark.parametrize("checked", ALL_TABLES.values(), ids=lambda checked: checked.table)


@each_table
def test_every_stored_table_declares_its_key(checked: CheckedTable) -> None:
    """Every table declares the columns that identify a row, all of them its own."""
    assert checked.key, f"add the key of {checked.table} to defs/table_catalog.get_table_keys"
    assert set(checked.key) <= checked.column_names
    assert {"declared_schema", "keys_name_rows"} <= {check.name for check in select_checks(checked)}


@each_table
def test_every_report_is_reconciled_with_the_level_above(checked: CheckedTable) -> None:
    """Every report below the account is compared with the same report above it; Smart+ has a check of its own."""
    if checked.report is None or checked.report.level.name.startswith("smart_plus"):
        assert checked.upper_table is None
        return
    assert (checked.upper_table is None) == (checked.report.level.name == "advertiser")
    above = ALL_TABLES[checked.upper_table] if checked.upper_table else checked
    assert above.report
    assert (above.report.cadence, above.report.breakdown) == (checked.report.cadence, checked.report.breakdown)


def test_each_check_applies_to_a_table_and_has_a_description() -> None:
    """Every check applies to a table, has a unique name, and has a description that is a sentence."""
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert any(check.applies_to(checked) for checked in ALL_TABLES.values()), check.name
        assert check.description.endswith(".")


def test_a_level_that_is_not_stored_is_skipped() -> None:
    """Without ad group reports, ads are compared with campaigns."""
    settings = load_settings(reports="ad_report_daily,campaign_report_daily")
    assert build_all_checked_tables(settings)["ad_report_daily"].upper_table == "campaign_report_daily"


def test_files_have_the_declared_types() -> None:
    """A wrong type, a missing key column and an unreadable file are faults; an older file passes."""
    declared, key = ads().schema, ("advertiser_id", "ad_id")
    one, other = Partition("7001"), Partition("7002")
    assert check_declared_schema({one: declared}, declared, key) == CheckOutcome()
    older = pl.Schema({name: kind for name, kind in declared.items() if name != "shares"})
    found = check_declared_schema({one: older}, declared, key)
    assert (found.passed, found.notes) == (True, ("some files lack the newer columns shares",))
    wrong = pl.Schema({**older, "spend": pl.Float64()})
    keyless = pl.Schema({name: kind for name, kind in declared.items() if name != "ad_id"})
    for schema, column, stored in (
        (wrong, "spend", "Float64"),
        (keyless, "ad_id", "missing"),
        (None, "", "cannot be read"),
    ):
        (fault,) = check_declared_schema({one: declared, other: schema}, declared, key).faults
        assert (fault["partition"], fault["column"]) == ("advertiser_id=7002", column)
        assert fault["stored"] == stored
