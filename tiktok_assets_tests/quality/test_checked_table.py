"""Laws of what is checked: every stored table, by what is declared of it, without a word in the checks."""

import polars as pl
import pytest

from tiktok_assets.defs.checks import build_all_checked_tables
from tiktok_assets.quality.checked_table import CheckedTable
from tiktok_assets.quality.checks import CHECKS, select_checks
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_checks import check_declared_schema
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.reports import REPORTS
from tiktok_assets.storage.hive_store import Partition
from tiktok_assets_tests.quality.sample_frames import ads

EVERYTHING = build_all_checked_tables(
    load_settings(reports=",".join(f"+{report.table}" for report in REPORTS if not report.standard))
)

each_subject = pytest.mark.parametrize("subject", EVERYTHING.values(), ids=lambda subject: subject.table)


@each_subject
def test_every_stored_table_names_its_key(subject: CheckedTable) -> None:
    """Each table on disk says which columns name a row, all of them its own: without them nothing is checked."""
    assert subject.key, f"name the key of {subject.table} in defs/catalogue.table_keys"
    assert set(subject.key) <= subject.names
    assert {"declared_schema", "keys_name_rows"} <= {check.name for check in select_checks(subject)}


@each_subject
def test_every_report_is_reconciled_with_the_level_above(subject: CheckedTable) -> None:
    """Each report below the account has the same report at the level above to agree with."""
    if subject.report is None:
        assert subject.upper is None
        return
    assert (subject.upper is None) == (subject.report.level.name == "advertiser")
    above = EVERYTHING[subject.upper] if subject.upper else subject
    assert above.report
    assert (above.report.cadence, above.report.breakdown) == (subject.report.cadence, subject.report.breakdown)


def test_each_check_concerns_some_table_and_has_a_sentence() -> None:
    """No check is idle, names are unique, and each says what holds where it passes."""
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    for check in CHECKS:
        assert any(check.concerns(subject) for subject in EVERYTHING.values()), check.name
        assert check.meaning.endswith(".")


def test_a_level_that_is_not_stored_is_skipped() -> None:
    """Without ad groups, ads are compared with their campaigns."""
    settings = load_settings(reports="ad_report_daily,campaign_report_daily")
    assert build_all_checked_tables(settings)["ad_report_daily"].upper == "campaign_report_daily"


def test_files_hold_the_declared_types() -> None:
    """A column of another type, a missing key and a file nobody can read are named; an older file passes."""
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
