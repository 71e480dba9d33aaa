"""Laws of malformed values: each costs itself, is kept and counted, and everything beside it is stored."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.errors import UnreadableRowError, suggest_fix
from tiktok_assets.defs.metadata import build_partition_metadata
from tiktok_assets.ingest.partitions import FailedPartitions, WrittenPartition
from tiktok_assets.ingest.writer import ADVERTISERS_SCHEMA, refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.quality.table_checks import check_known_fields, check_malformed_values
from tiktok_assets.sandbox.http.faults import Fault
from tiktok_assets.spec.entities import ADS, CAMPAIGNS, Entity
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME, STANDARD_METRICS, summable_columns
from tiktok_assets.spec.reports import REPORTS_BY_TABLE, Report
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.tables.cells import MALFORMED
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import accounts_of, days_back, reading

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
AD_LIFETIME = REPORTS_BY_TABLE["ad_report_lifetime"]
COUNTRY = REPORTS_BY_TABLE["ad_audience_country_daily"]
GENDER = REPORTS_BY_TABLE["campaign_audience_age_gender_daily"]
DAYS = days_back(4, 1)
named = pytest.mark.parametrize


@dataclass
class Stored:
    """What a refresh left: its outcomes, the table, and the requests it took."""

    outcomes: list[WrittenPartition | FailedPartitions]
    frame: pl.DataFrame
    requests: int

    @property
    def failed(self) -> list[FailedPartitions]:
        """Those partitions that failed."""
        return [one for one in self.outcomes if isinstance(one, FailedPartitions)]

    def malformed(self, table: str) -> int:
        """How many values did not fit, as the materializations say."""
        return sum(
            build_partition_metadata(one).get("malformed_values", 0)
            for one in self.outcomes
            if isinstance(one, WrittenPartition) and one.table == table
        )


def refreshed(host: Host, store: HiveStore, what: Report | Entity, fault: Mapping[str, Any] | None) -> Stored:
    """Refresh four days of a report, its lifetime or the objects of an account, while a host misbehaves."""
    host.behave()
    account = accounts_of(host)[0]
    if fault:
        host.misbehave(**fault)
    with reading(host) as one:
        if isinstance(what, Entity):
            outcomes = list(refresh_entity(one.reader, store, what, [account.advertiser_id]))
        else:
            days = DAYS if what.cadence == "daily" else []
            outcomes = list(refresh_report(one.reader, store, what, {account: days}))
    frames = [
        found.collect()
        for outcome in outcomes
        if isinstance(outcome, WrittenPartition) and outcome.table == what.table
        if (found := store.open(what.table, outcome.partition)) is not None
    ]
    sent = len(host.requests)
    host.behave()
    return Stored(outcomes, pl.concat(frames) if frames else pl.DataFrame(), sent)


def raw(field: str, text: str) -> dict[str, Any]:
    """The fault that puts bytes into the first row of every answer."""
    return {"kind": "raw_value", "field": field, "raw": text, "times": None}


def beside(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    """A table without these columns and those every reading changes."""
    return frame.drop("fetched_at", "extra", *columns)


TEXTS = {
    "lone surrogate at the end": (r'"Summer sale \ud83d"', "Summer sale \ufffd"),
    "lone surrogate in the middle": (r'"Summer \ud83d sale"', "Summer \ufffd sale"),
    "lone low surrogate": (r'"\ude00 sale"', "\ufffd sale"),
    "no UTF-8 at the end": ('"Summer sale \xff"', "Summer sale \ufffd"),
    "no UTF-8 in the middle": ('"Summer \xc3 sale"', "Summer \ufffd sale"),
    "a bare control character": ('"a\x01b"', "a\x01b"),
}


@named("text", TEXTS)
@named(
    ("what", "field", "column"),
    [
        (ADS, "ad_name", "ad_name"),
        (CAMPAIGNS, "campaign_name", "campaign_name"),
        (AD_DAILY, "ad_name", "ad_name"),
        (AD_LIFETIME, "adgroup_name", "ad_group_name"),
    ],
    ids=lambda one: getattr(one, "table", one),
)
def test_text_no_parser_takes_is_stored(  # noqa: PLR0917 - its parameters
    small: Host, store: HiveStore, what: Report | Entity, field: str, column: str, text: str
) -> None:
    """Half a surrogate pair and bytes that are no UTF-8 become U+FFFD; all else is stored, nothing asked again."""
    whole = refreshed(small, store, what, None)
    came, meant = TEXTS[text]
    spoiled = refreshed(small, store, what, raw(field, came))
    assert spoiled.failed == []
    assert spoiled.requests == whole.requests
    assert beside(spoiled.frame, column).equals(beside(whole.frame, column))
    assert meant in spoiled.frame.get_column(column).to_list()
    assert spoiled.malformed(what.table) == 0


AMOUNTS: list[tuple[str, str, bool]] = [
    ("0.30000000000000004", "0.3", True),
    ('"19.999999999999996"', "20", True),
    ("19.999999999999996", "20", True),
    ('"1.5E+2"', "150", True),
    ('"0.12345"', "0.1234", False),
    ("0.12355", "0.1236", False),
]


@named(("came", "amount", "fits"), AMOUNTS)
def test_a_budget_is_the_amount_meant(
    small: Host, store: HiveStore, came: str, amount: str, *, fits: bool
) -> None:
    """The noise of binary floats is rounded away unseen; a real fifth digit is rounded, kept and counted."""
    spoiled = refreshed(small, store, CAMPAIGNS, raw("budget", came))
    assert Decimal(amount) in spoiled.frame.get_column("budget").to_list()
    assert spoiled.malformed("campaigns") == (0 if fits else 1)
    kept = [json.loads(extra, parse_float=str) for extra in spoiled.frame.get_column("extra") if extra]
    assert [one[MALFORMED] for one in kept if MALFORMED in one] == ([] if fits else [{"budget": came.strip('"')}])


@named("field", ["spend", "cpc", "impressions", "ctr", "frequency"])
def test_scientific_notation_is_a_number(small: Host, store: HiveStore, field: str) -> None:
    """The text "1.5E+2" is 150 in amounts, averages, whole numbers, rates and ratios."""
    whole = refreshed(small, store, AD_LIFETIME, None)
    spoiled = refreshed(small, store, AD_LIFETIME, raw(field, '"1.5E+2"'))
    assert 150 in spoiled.frame.get_column(field).to_list()
    assert beside(spoiled.frame, field).equals(beside(whole.frame, field))
    assert spoiled.malformed("ad_report_lifetime") == 0


@named(
    ("what", "field", "came"),
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
def test_a_value_that_does_not_fit_costs_itself(
    small: Host, store: HiveStore, what: Report | Entity, field: str, came: str
) -> None:
    """The cell is null, what came is kept in `extra` and counted, and a check shows it with the row's ids."""
    whole = refreshed(small, store, what, None)
    spoiled = refreshed(small, store, what, raw(field, came))
    assert spoiled.failed == []
    assert spoiled.requests == whole.requests
    assert beside(spoiled.frame, field).equals(beside(whole.frame, field))
    odd = spoiled.frame.filter(pl.col("extra").str.contains(MALFORMED))
    assert odd.height == 1
    assert odd.get_column(field).item() is None
    assert json.loads(odd.get_column("extra").item())[MALFORMED].keys() == {field}
    assert spoiled.malformed(what.table) == 1
    key = what.key if isinstance(what, Report) else ("advertiser_id", what.table.removesuffix("s") + "_id")
    finding = check_malformed_values(spoiled.frame, key)
    assert finding.count == 1
    assert finding.faults[0]["field"] == field
    assert {name: finding.faults[0][name] for name in key} == {
        name: str(odd.get_column(name).item()) for name in key
    }
    assert check_known_fields(spoiled.frame, {*json.loads(odd.get_column("extra").item())} - {MALFORMED}).passed


def test_the_check_shows_five_of_many() -> None:
    """However many values did not fit, the check counts all and shows five, over several accounts too."""
    extra = json.dumps({MALFORMED: {"budget": "much"}})
    frame = pl.DataFrame({"campaign_id": [str(n) for n in range(9)], "extra": [extra] * 9})
    finding = check_malformed_values(frame, ["campaign_id"]) + check_malformed_values(frame, ["campaign_id"])
    assert (finding.count, len(finding.faults)) == (18, 5)


@named("came", ['"much"', "NaN", "null", '"1e30"'])
def test_an_unreadable_spend_fails_its_day_only(small: Host, store: HiveStore, came: str) -> None:
    """A spend nobody can read fails its own day in one sentence; the other days stand, nothing is asked again."""
    whole = refreshed(small, store, AD_DAILY, None)
    spoiled = refreshed(small, store, AD_DAILY, raw("spend", came))
    if came == "null":  # nothing, in JSON's own word
        assert spoiled.failed == []
        return
    (failed,) = spoiled.failed
    assert isinstance(failed.error, UnreadableRowError)
    assert "spend is" in str(failed.error)
    assert "Ads Manager" in suggest_fix(failed.error)
    assert failed.error.request_id
    assert spoiled.requests == whole.requests
    (lost,) = [one.day for one in failed.partitions]
    assert beside(spoiled.frame).equals(beside(whole.frame.filter(pl.col("date") != lost)))


@named("came", ['"today"', "null", '["2026-11-05"]', '"2026-02-30 00:00:00"'])
def test_a_row_without_a_readable_day_is_asked_for_by_day(small: Host, store: HiveStore, came: str) -> None:
    """Such a row costs nothing: halves of the window are asked for until the question says its day."""
    whole = refreshed(small, store, AD_DAILY, None)
    spoiled = refreshed(small, store, AD_DAILY, raw("stat_time_day", came))
    assert spoiled.failed == []
    assert beside(spoiled.frame).equals(beside(whole.frame))
    assert spoiled.requests == 2 * len(DAYS) - 1
    assert spoiled.malformed("ad_report_daily") == len(DAYS)


@named("came", ["null", "[]", '""', "1.5"])
def test_a_row_without_its_id_fails_its_day_only(small: Host, store: HiveStore, came: str) -> None:
    """A row whose ad cannot be read fails its own day, and no other."""
    whole = refreshed(small, store, AD_DAILY, None)
    spoiled = refreshed(small, store, AD_DAILY, raw("ad_id", came))
    (failed,) = spoiled.failed
    (lost,) = [one.day for one in failed.partitions]
    assert spoiled.requests == whole.requests
    assert beside(spoiled.frame).equals(beside(whole.frame.filter(pl.col("date") != lost)))


@named("came", ["null", '""', '"None"', '"-1"', "-1", '["US"]'])
@named(("report", "field"), [(COUNTRY, "country_code"), (GENDER, "age"), (GENDER, "gender")])
def test_a_part_nobody_knows_is_kept_as_unknown(
    small: Host, store: HiveStore, report: Report, field: str, came: str
) -> None:
    """A row whose part of the audience is not told stands under `unknown`: the parts add up, other days stay."""
    whole = refreshed(small, store, report, None)
    spoiled = refreshed(small, store, report, raw(field, came))
    assert spoiled.failed == []
    assert spoiled.requests == whole.requests
    assert "unknown" in spoiled.frame.get_column(field).to_list()
    assert not spoiled.frame.select(report.key).is_duplicated().any()
    sums = list(summable_columns(spoiled.frame.columns))
    by_day = [one.frame.group_by("date").agg(pl.col(sums).sum()).sort("date") for one in (whole, spoiled)]
    assert by_day[0].equals(by_day[1])
    changed = beside(spoiled.frame).join(
        beside(whole.frame), on=beside(whole.frame).columns, how="anti", nulls_equal=True
    )
    assert changed.height == 1
    assert spoiled.malformed(report.table) == (1 if came == '["US"]' else 0)


def test_tiktoks_own_word_for_an_unknown_part_is_unknown(small: Host, store: HiveStore) -> None:
    """The word NONE, which TikTok writes for a part it does not know, stands nowhere in a table."""
    spoiled = refreshed(small, store, COUNTRY, raw("country_code", '"NONE"'))
    assert "unknown" in spoiled.frame.get_column("country_code").to_list()
    ages = refreshed(small, store, GENDER, None).frame.select("age", "gender")
    assert {"unknown"} <= {value for column in ages for value in column}
    assert "NONE" not in {value for column in ages for value in column}


def test_merged_parts_are_recomputed_or_null(small: Host, store: HiveStore) -> None:
    """Two parts that became one have the sums of both, rates of those sums, and no guess where none follows."""
    whole = refreshed(small, store, GENDER, None)
    first = whole.frame.filter(pl.col("gender") == "unknown").row(0, named=True)
    spoiled = refreshed(small, store, GENDER, raw("gender", "null"))
    merged = spoiled.frame.join(whole.frame, on=GENDER.key, how="inner", suffix="_before").filter(
        pl.col("spend") != pl.col("spend_before")
    )
    for row in merged.to_dicts():
        assert row["gender"] == "unknown"
        assert row["ctr"] == pytest.approx(100 * row["clicks"] / row["impressions"])
        assert row["cost_per_result"] is None
    assert first["gender"] == "unknown"
    assert {"ctr", "clicks", "impressions"} <= {metric.name for metric in STANDARD_METRICS}
    assert METRICS_BY_API_NAME["ctr"].quotient
    assert Fault(kind="raw_value").raw == "null"


def test_an_account_keeps_the_zone_and_currency_last_known(small: Host, store: HiveStore) -> None:
    """A zone or currency that cannot be read costs no account its reports: the one last known stands."""
    small.behave()
    ids = [account.advertiser_id for account in accounts_of(small)]
    with reading(small) as one:
        refresh_advertisers(one.reader, store, ids)
        before = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
        for field in ("timezone", "display_timezone", "currency"):
            small.misbehave(**raw(field, '{"a":1}'))
            landed, _ = refresh_advertisers(one.reader, store, ids)
            after = store.scan("advertisers", ADVERTISERS_SCHEMA).collect()
            assert beside(after).equals(beside(before))
            assert landed.malformed_values == 1
            small.behave()
