"""Test malformed values: each one costs only its cell, is kept and counted, and everything else is stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.errors import UnreadableRowError, suggest_fix
from tiktok_assets.defs.metadata import build_partition_metadata
from tiktok_assets.ingest.account_reader import ADVERTISERS_SCHEMA
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.quality.row_checks import check_known_fields, check_malformed_values
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.spec.entities import ADS, CAMPAIGNS, Entity
from tiktok_assets.spec.metric_selection import METRICS_BY_API_NAME, STANDARD_METRICS, summable_columns
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import REPORTS_BY_TABLE
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.value_parser import MALFORMED
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import days_back, granted_accounts, open_reader

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
AD_LIFETIME = REPORTS_BY_TABLE["ad_report_lifetime"]
COUNTRY = REPORTS_BY_TABLE["ad_audience_country_daily"]
GENDER = REPORTS_BY_TABLE["campaign_audience_age_gender_daily"]
DAYS = days_back(4, 1)


@dataclass
class Stored:
    """The result of a refresh: its outcomes, the stored table, and the number of requests."""

    outcomes: list[WrittenPartition | FailedPartitions]
    frame: pl.DataFrame
    requests: int

    @property
    def failed(self) -> list[FailedPartitions]:
        """The partitions that failed."""
        return [one for one in self.outcomes if isinstance(one, FailedPartitions)]

    def malformed(self, table: str) -> int:
        """Return the number of malformed values according to the materialization metadata."""
        return sum(
            build_partition_metadata(one).get("malformed_values", 0)
            for one in self.outcomes
            if isinstance(one, WrittenPartition) and one.table == table
        )


def run_refresh(host: Host, store: HiveStore, source: Report | Entity, fault: Mapping[str, Any] | None) -> Stored:
    """Refresh four days of a report, a lifetime report or the objects of an account with an injected fault."""
    host.reset()
    account = granted_accounts(host)[0]
    if fault:
        host.inject_fault(**fault)
    with open_reader(host) as one:
        if isinstance(source, Entity):
            outcomes = list(refresh_entity(one.reader, store, source, [account.advertiser_id]))
        else:
            days = DAYS if source.cadence == "daily" else []
            outcomes = list(refresh_report(one.reader, store, source, {account: days}))
    frames = [
        found.collect()
        for outcome in outcomes
        if isinstance(outcome, WrittenPartition) and outcome.table == source.table
        if (found := store.scan_partition(source.table, outcome.partition)) is not None
    ]
    sent = len(host.requests)
    host.reset()
    return Stored(outcomes, pl.concat(frames) if frames else pl.DataFrame(), sent)


def replace_raw(field: str, text: str) -> dict[str, Any]:
    """Return the fault that replaces a value in the first row of every response by raw bytes."""
    return {"kind": "raw_value", "field": field, "raw": text, "times": None}


def drop_columns(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """Drop these columns and those that differ between reads."""
    return frame.drop("fetched_at", "extra", *columns)


TEXTS = {
    "lone surrogate at the end": (r'"Summer sale \ud83d"', "Summer sale \ufffd"),
    "lone surrogate in the middle": (r'"Summer \ud83d sale"', "Summer \ufffd sale"),
    "lone low surrogate": (r'"\ude00 sale"', "\ufffd sale"),
    "invalid UTF-8 at the end": ('"Summer sale \xff"', "Summer sale \ufffd"),
    "invalid UTF-8 in the middle": ('"Summer \xc3 sale"', "Summer \ufffd sale"),
    "a bare control character": ('"a\x01b"', "a\x01b"),
}


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize(
    ("source", "field", "column"),
    [
        (ADS, "ad_name", "ad_name"),
        (CAMPAIGNS, "campaign_name", "campaign_name"),
        (AD_DAILY, "ad_name", "ad_name"),
        (AD_LIFETIME, "adgroup_name", "ad_group_name"),
    ],
    ids=lambda one: getattr(one, "table", one),
)
def test_invalid_unicode_is_stored(  # noqa: PLR0917 - parametrized
    small: Host, store: HiveStore, source: Report | Entity, field: str, column: str, text: str
) -> None:
    """Lone surrogates and invalid UTF-8 become U+FFFD; all else is stored without another request."""
    expected = run_refresh(small, store, source, None)
    sent, expected_text = TEXTS[text]
    actual = run_refresh(small, store, source, replace_raw(field, sent))
    assert actual.failed == []
    assert actual.requests == expected.requests
    assert drop_columns(actual.frame, column).equals(drop_columns(expected.frame, column))
    assert expected_text in actual.frame.get_column(column).to_list()
    assert actual.malformed(source.table) == 0


AMOUNTS: list[tuple[str, str, bool]] = [
    ("0.30000000000000004", "0.3", True),
    ('"19.999999999999996"', "20", True),
    ("19.999999999999996", "20", True),
    ('"1.5E+2"', "150", True),
    ('"0.12345"', "0.1234", False),
    ("0.12355", "0.1236", False),
]


@pytest.mark.parametrize(("sent", "amount", "fits"), AMOUNTS)
def test_an_amount_is_rounded_to_four_decimals(
    small: Host, store: HiveStore, sent: str, amount: str, *, fits: bool
) -> None:
    """Float noise is rounded away silently; a real fifth decimal is rounded, kept and counted."""
    actual = run_refresh(small, store, CAMPAIGNS, replace_raw("budget", sent))
    assert Decimal(amount) in actual.frame.get_column("budget").to_list()
    assert actual.malformed("campaigns") == (0 if fits else 1)
    kept = [json.loads(extra, parse_float=str) for extra in actual.frame.get_column("extra") if extra]
    assert [one[MALFORMED] for one in kept if MALFORMED in one] == ([] if fits else [{"budget": sent.strip('"')}])


@pytest.mark.parametrize("field", ["spend", "cpc", "impressions", "ctr", "frequency"])
def test_scientific_notation_is_a_number(small: Host, store: HiveStore, field: str) -> None:
    """The text "1.5E+2" is 150 in amounts, averages, integers, rates and ratios."""
    expected = run_refresh(small, store, AD_LIFETIME, None)
    actual = run_refresh(small, store, AD_LIFETIME, replace_raw(field, '"1.5E+2"'))
    assert 150 in actual.frame.get_column(field).to_list()
    assert drop_columns(actual.frame, field).equals(drop_columns(expected.frame, field))
    assert actual.malformed("ad_report_lifetime") == 0


@pytest.mark.parametrize(
    ("source", "field", "sent"),
    [
        (ADS, "create_time", '"2026-02-30 00:00:00"'),
        (ADS, "landing_page_url", '{"a":[1]}'),
        (CAMPAIGNS, "budget", '"much"'),
        (CAMPAIGNS, "budget", "NaN"),
        (CAMPAIGNS, "budget", "9" * 60),
        (AD_DAILY, "impressions", '"-3"'),
        (AD_DAILY, "impressions", '"12.5"'),
        (AD_DAILY, "ctr", '"nan"'),
        (AD_DAILY, "cpc", '["1"]'),
        (AD_DAILY, "ad_name", "[" * 3000 + "]" * 3000),
        (AD_DAILY, "campaign_id", "true"),
        (AD_LIFETIME, "reach", '"-1"'),
    ],
    ids=lambda one: getattr(one, "table", str(one)[:20]),
)
def test_a_malformed_value_costs_only_its_cell(
    small: Host, store: HiveStore, source: Report | Entity, field: str, sent: str
) -> None:
    """The cell is null, the value is kept in `extra` and counted, and a check lists it with the row's ids."""
    expected = run_refresh(small, store, source, None)
    actual = run_refresh(small, store, source, replace_raw(field, sent))
    assert actual.failed == []
    assert actual.requests == expected.requests
    assert drop_columns(actual.frame, field).equals(drop_columns(expected.frame, field))
    malformed_rows = actual.frame.filter(pl.col("extra").str.contains(MALFORMED))
    assert malformed_rows.height == 1
    assert malformed_rows.get_column(field).item() is None
    assert json.loads(malformed_rows.get_column("extra").item())[MALFORMED].keys() == {field}
    assert actual.malformed(source.table) == 1
    key = source.key if isinstance(source, Report) else ("advertiser_id", source.table.removesuffix("s") + "_id")
    outcome = check_malformed_values(actual.frame, key)
    assert outcome.count == 1
    assert outcome.faults[0]["field"] == field
    assert {name: outcome.faults[0][name] for name in key} == {
        name: str(malformed_rows.get_column(name).item()) for name in key
    }
    assert check_known_fields(
        actual.frame, {*json.loads(malformed_rows.get_column("extra").item())} - {MALFORMED}
    ).passed


def test_the_check_lists_five_malformed_values() -> None:
    """The check counts all malformed values and lists five, also over several accounts."""
    extra = json.dumps({MALFORMED: {"budget": "much"}})
    frame = pl.DataFrame({"campaign_id": [str(n) for n in range(9)], "extra": [extra] * 9})
    outcome = check_malformed_values(frame, ["campaign_id"]) + check_malformed_values(frame, ["campaign_id"])
    assert (outcome.count, len(outcome.faults)) == (18, 5)


@pytest.mark.parametrize("sent", ['"much"', "NaN", "null", '"1e30"'])
def test_an_unreadable_spend_fails_only_its_day(small: Host, store: HiveStore, sent: str) -> None:
    """A malformed spend fails its own day; the other days are stored without another request."""
    expected = run_refresh(small, store, AD_DAILY, None)
    actual = run_refresh(small, store, AD_DAILY, replace_raw("spend", sent))
    if sent == "null":  # a JSON null is no malformed value
        assert actual.failed == []
        return
    (failed,) = actual.failed
    assert isinstance(failed.error, UnreadableRowError)
    assert "spend is" in str(failed.error)
    assert "Ads Manager" in suggest_fix(failed.error)
    assert failed.error.request_id
    assert actual.requests == expected.requests
    (failed_day,) = [one.day for one in failed.partitions]
    assert drop_columns(actual.frame).equals(drop_columns(expected.frame.filter(pl.col("date") != failed_day)))


@pytest.mark.parametrize("sent", ['"today"', "null", '["2026-11-05"]', '"2026-02-30 00:00:00"'])
def test_a_row_without_a_readable_day_is_requested_by_day(small: Host, store: HiveStore, sent: str) -> None:
    """The window is halved until the request implies the day, and every row is stored."""
    expected = run_refresh(small, store, AD_DAILY, None)
    actual = run_refresh(small, store, AD_DAILY, replace_raw("stat_time_day", sent))
    assert actual.failed == []
    assert drop_columns(actual.frame).equals(drop_columns(expected.frame))
    assert actual.requests == 2 * len(DAYS) - 1
    assert actual.malformed("ad_report_daily") == len(DAYS)


@pytest.mark.parametrize("sent", ["null", "[]", '""', "1.5"])
def test_a_row_without_its_id_fails_only_its_day(small: Host, store: HiveStore, sent: str) -> None:
    """A row whose ad id cannot be parsed fails its own day, and no other."""
    expected = run_refresh(small, store, AD_DAILY, None)
    actual = run_refresh(small, store, AD_DAILY, replace_raw("ad_id", sent))
    (failed,) = actual.failed
    (failed_day,) = [one.day for one in failed.partitions]
    assert actual.requests == expected.requests
    assert drop_columns(actual.frame).equals(drop_columns(expected.frame.filter(pl.col("date") != failed_day)))


@pytest.mark.slow
@pytest.mark.parametrize("sent", ["null", '""', '"None"', '"-1"', "-1", '["US"]'])
@pytest.mark.parametrize(("report", "field"), [(COUNTRY, "country_code"), (GENDER, "age"), (GENDER, "gender")])
def test_an_unreadable_segment_is_stored_as_unknown(
    small: Host, store: HiveStore, report: Report, field: str, sent: str
) -> None:
    """A row without a readable audience segment is stored as `unknown`, so the segments still add up."""
    expected = run_refresh(small, store, report, None)
    actual = run_refresh(small, store, report, replace_raw(field, sent))
    assert actual.failed == []
    assert actual.requests == expected.requests
    assert "unknown" in actual.frame.get_column(field).to_list()
    assert not actual.frame.select(report.key).is_duplicated().any()
    sums = list(summable_columns(actual.frame.columns))
    by_day = [one.frame.group_by("date").agg(pl.col(sums).sum()).sort("date") for one in (expected, actual)]
    assert by_day[0].equals(by_day[1])
    changed = drop_columns(actual.frame).join(
        drop_columns(expected.frame), on=drop_columns(expected.frame).columns, how="anti", nulls_equal=True
    )
    assert changed.height == 1
    assert actual.malformed(report.table) == (1 if sent == '["US"]' else 0)


def test_tiktoks_value_for_an_unknown_segment_is_unknown(small: Host, store: HiveStore) -> None:
    """TikTok's value NONE for an unknown segment is stored as `unknown`."""
    actual = run_refresh(small, store, COUNTRY, replace_raw("country_code", '"NONE"'))
    assert "unknown" in actual.frame.get_column("country_code").to_list()
    ages = run_refresh(small, store, GENDER, None).frame.select("age", "gender")
    assert {"unknown"} <= {value for column in ages for value in column}
    assert "NONE" not in {value for column in ages for value in column}


def test_merged_segments_are_recomputed_or_null(small: Host, store: HiveStore) -> None:
    """Two segments merged into one have the sums of both, recomputed rates, and null where there is no formula."""
    expected = run_refresh(small, store, GENDER, None)
    unknown_row = expected.frame.filter(pl.col("gender") == "unknown").row(0, named=True)
    actual = run_refresh(small, store, GENDER, replace_raw("gender", "null"))
    merged = actual.frame.join(expected.frame, on=GENDER.key, how="inner", suffix="_before").filter(
        pl.col("spend") != pl.col("spend_before")
    )
    for row in merged.to_dicts():
        assert row["gender"] == "unknown"
        assert row["ctr"] == pytest.approx(100 * row["clicks"] / row["impressions"])
        assert row["cost_per_result"] is None
    assert unknown_row["gender"] == "unknown"
    assert {"ctr", "clicks", "impressions"} <= {metric.name for metric in STANDARD_METRICS}
    assert METRICS_BY_API_NAME["ctr"].quotient
    assert Fault(kind="raw_value").raw == "null"


def test_an_account_keeps_its_last_known_time_zone_and_currency(small: Host, store: HiveStore) -> None:
    """A malformed time zone or currency is replaced by the stored one, so reports do not fail."""
    small.reset()
    ids = [account.advertiser_id for account in granted_accounts(small)]
    with open_reader(small) as one:
        refresh_advertisers(one.reader, store, ids)
        before = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        for field in ("timezone", "display_timezone", "currency"):
            small.inject_fault(**replace_raw(field, '{"a":1}'))
            written, _ = refresh_advertisers(one.reader, store, ids)
            after = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
            assert drop_columns(after).equals(drop_columns(before))
            assert written.malformed_values == 1
            small.reset()
