"""Tests of `compact`: it says what it does, changes nothing on a dry run, and can be undone."""

import json
import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.schema import report_schema
from tiktok_assets_tests.cli.conftest import CommandResult, run_command

OWNER = "7104142337395130369"
TABLE = "ad_report_daily"
SCHEMA = report_schema(REPORTS_BY_TABLE[TABLE], STANDARD_METRICS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with 60 days of a report, the last of them yesterday, and one of three years ago."""
    store, today = HiveStore(str(tmp_path / "data")), datetime.now(UTC).date()
    days = [date(2023, 5, number) for number in range(1, 6)]
    for day in [*days, date(2023, 7, 4), *(today - timedelta(number) for number in range(1, 61))]:
        store.write(TABLE, Partition(OWNER, day), pl.DataFrame([{"advertiser_id": OWNER, "date": day}], SCHEMA))
    for file in (tmp_path / "data").rglob("*.parquet"):
        os.utime(file, (0, file.stat().st_mtime - 3600))
    return tmp_path


def compact(folder: Path, *options: str) -> CommandResult:
    """Run the command in a folder with tables."""
    return run_command("compact", *options, variables={"TIKTOK_DATA_DIR": str(folder / "data")}, folder=folder)


def list_folders(folder: Path) -> list[str]:
    """Return the names of the days' and months' folders."""
    return sorted(file.parent.name for file in (folder / "data" / TABLE).rglob("*.parquet"))


def test_settled_months_are_compacted_and_restored(folder: Path) -> None:
    """Only months that no refresh reads again are compacted, and --undo gives every day its file back."""
    before = list_folders(folder)
    expected = [{"table": TABLE, "advertiser_id": OWNER, "month": "2023-05", "days": 5, "reason": None}]
    dry = compact(folder, "--dry-run", "--json")
    assert json.loads(dry.out) == expected
    assert list_folders(folder) == before
    done = compact(folder)
    assert done.exit_code == 0
    assert re.findall(r"\w+", done.out) == ["table", "months", "days", "kept", TABLE, "1", "5", "0"]
    assert [name for name in list_folders(folder) if name < "date=2024" or name > "f"] == [
        "date=2023-07-04",
        "month=2023-05",
    ]
    assert json.loads(compact(folder, "--json").out) == []
    for file in (folder / "data").rglob("*.parquet"):
        os.utime(file, (0, file.stat().st_mtime - 3600))
    assert json.loads(compact(folder, "--undo", "--json").out) == expected
    assert list_folders(folder) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--before", "yesterday"), "--before 'yesterday' is not a day; write it as 20"),
        (
            ("--before", "2999-01-01"),
            "--before 2999-01-01 is too recent: refreshes read the last month again; use 20",
        ),
        (("--undo", "--dry-run"), "--undo restores every month; use it without --dry-run and --before."),
    ],
)
def test_wrong_options_are_explained(folder: Path, options: tuple[str, ...], message: str) -> None:
    """A day that is none or too recent, or options that exclude each other, are one sentence."""
    result = compact(folder, *options)
    assert result.exit_code == 2
    assert message in result.err
