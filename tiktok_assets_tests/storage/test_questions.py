"""Tests of docs/questions.md: each query runs on a filled warehouse, and answers equal those of the files."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from tiktok_assets.creatives.daily import read_ads, update_creative_days
from tiktok_assets.creatives.summary import read_summary_sources, summarize_creatives
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.ingest.media import refresh_media
from tiktok_assets.ingest.restatements import refresh_restatements
from tiktok_assets.ingest.thumbnails import open_downloads
from tiktok_assets.ingest.writer import refresh_advertisers, refresh_entity, refresh_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.entities import CAMPAIGN_ENTITIES
from tiktok_assets.spec.media import VIDEO_FILES
from tiktok_assets.spec.reports import DAILY_REPORTS, LIFETIME_REPORTS, REPORTS_BY_TABLE
from tiktok_assets.storage.duckdb_warehouse import build_warehouse
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.thumbnails import ThumbnailStore
from tiktok_assets.tables.schema import build_schema
from tiktok_assets.top_spenders.creatives import add_creatives
from tiktok_assets.top_spenders.ranking import rank_top_spenders
from tiktok_assets.top_spenders.stored_rows import read_account_tables
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import granted_accounts, open_reader

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
COUNTRY = REPORTS_BY_TABLE["campaign_audience_country_daily"]
DAYS = 45
MAY_BE_EMPTY = "may be empty"

Row = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A question of the page: its number, its text and its SQL."""

    number: int
    text: str
    sql: str


def read_questions() -> list[Question]:
    """Read the questions of the page."""
    sections = re.findall(
        r"^## (\d+)\. (.*?)(?=^## |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    found = []
    for number, section in sections:
        (sql,) = re.findall(r"^```sql\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
        found.append(Question(int(number), section.replace(sql, ""), sql))
    return found


@dataclass
class Answers:
    """A filled warehouse, and the tables it was built from."""

    connection: duckdb.DuckDBPyConnection
    store: HiveStore

    def ask(self, number: int) -> list[Row]:
        """Run the SQL of a question."""
        (question,) = [one for one in read_questions() if one.number == number]
        result = self.connection.execute(question.sql)
        names = [column[0] for column in result.description or ()]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def table(self, name: str) -> pl.DataFrame:
        """Read a stored table."""
        return self.store.scan(name, build_schema(TABLES[name])).collect()

    def recent(self, name: str, days: int) -> pl.DataFrame:
        """Read the last complete days of each account of a daily report."""
        rows = self.table(name).filter("is_complete")
        last = self.table("advertiser_report_daily").filter("is_complete").group_by("advertiser_id")
        return (
            rows.join(last.agg(last=pl.col("date").max()), on="advertiser_id")
            .with_columns(back=(pl.col("last") - pl.col("date")).dt.total_days())
            .filter(pl.col("back").is_between(0, days - 1))
        )


TABLES = get_stored_tables(load_settings(reports=f"+{COUNTRY.table}", metrics=""))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """The warehouse of the demo agency after two refreshes, two days apart."""
    folder = tmp_path_factory.mktemp("questions")
    store = HiveStore(str(folder / "data"))
    with Host.run(WorldPlan()) as host:
        today = host.sandbox.clock.now().date()
        fill(host, store, [today - timedelta(back) for back in range(DAYS, 0, -1)])
        host.advance(days=2)
        fill(host, store, [today - timedelta(back) for back in range(7, -2, -1)])
    share_a_video(store)
    path = build_warehouse(store, folder / "state", TABLES).path
    with duckdb.connect(path, read_only=True) as connection:
        yield Answers(connection, store)


def fill(host: Host, store: HiveStore, days: list[date]) -> None:
    """Refresh all tables that a question needs, without Dagster."""
    accounts = granted_accounts(host)
    ids = [account.advertiser_id for account in accounts]
    with open_reader(host) as one:
        refresh_advertisers(one.reader, store, ids)
        for entity in CAMPAIGN_ENTITIES:
            list(refresh_entity(one.reader, store, entity, ids))
        for report in (*DAILY_REPORTS, COUNTRY):
            list(refresh_report(one.reader, store, report, dict.fromkeys(accounts, days)))
        for report in LIFETIME_REPORTS:
            list(refresh_report(one.reader, store, report, dict.fromkeys(accounts, ())))
        url = host.sandbox.base_url
        with open_downloads(ThumbnailStore(store.base), url, max_pictures=0, max_megabytes=0) as downloads:
            list(refresh_media(one.reader, store, VIDEO_FILES, ids, downloads))
    tables = [report.table for report in DAILY_REPORTS]
    list(refresh_restatements(store, tables, [Partition(owner, day) for owner in ids for day in days]))
    for owner in ids:
        ads = read_ads(store, owner)
        summed = update_creative_days(store, owner, ads)
        store.write("creative_daily", Partition(owner), summed.rows, metadata=summed.metadata)
        rows = summarize_creatives(ads, summed.rows, read_summary_sources(store, owner), days[-3], DAYS)
        store.write("creatives", Partition(owner), rows)
        lifetime = store.scan(
            "ad_report_lifetime", build_schema(TABLES["ad_report_lifetime"]), advertiser_ids=[owner]
        )
        campaigns = store.scan(
            "campaign_report_lifetime", build_schema(TABLES["campaign_report_lifetime"]), advertiser_ids=[owner]
        )
        ranked = rank_top_spenders(lifetime.collect(), campaigns.collect())
        leaders = add_creatives(ranked, lifetime.collect(), read_account_tables(store, ranked))
        store.write("top_spenders", Partition(owner), leaders)


def share_a_video(store: HiveStore) -> None:
    """Let ads whose names begin alike show one video, which no ads of the demo agency do."""
    for one in store.partitions("ads"):
        ads = store.read("ads", build_schema(TABLES["ads"]), [one]).collect()
        concept = pl.col("ad_name").str.split(" | ").list.first()
        store.write("ads", one, ads.with_columns(pl.col("video_id").first().over(concept)))


def total(rows: pl.DataFrame, keys: list[str], *names: str) -> pl.DataFrame:
    """Sum columns of rows by keys."""
    return rows.group_by(keys).agg(pl.col(name).sum() for name in names)


def spent_most_yesterday(answers: Answers) -> pl.DataFrame:
    """Question 1."""
    rows = answers.recent("campaign_report_daily", 1).sort("spend", "campaign_id", descending=[True, False])
    return (
        rows.group_by("currency", maintain_order=True).head(10).select("currency", "campaign_id", "date", "spend")
    )


def worse_cost(answers: Answers) -> pl.DataFrame:
    """Question 2."""
    keys = ["currency", "campaign_id"]
    rows = answers.recent("campaign_report_daily", 14)
    week, before = (
        total(rows.filter(chosen), keys, "spend", "conversion")
        .filter(pl.col("conversion") > 0)
        .with_columns(cost=pl.col("spend").cast(pl.Float64) / pl.col("conversion"))
        for chosen in (pl.col("back") < 7, pl.col("back") >= 7)
    )
    return (
        week.join(before, on=keys, suffix="_before")
        .filter(pl.col("cost") > pl.col("cost_before"))
        .select(
            *keys, "spend", "spend_before", cpa=pl.col("cost").round(2), cpa_before=pl.col("cost_before").round(2)
        )
    )


def worn_out(answers: Answers) -> pl.DataFrame:
    """Question 3, with one pass over the days of each ad."""
    rows = answers.table("ad_report_daily").filter("is_complete")
    ends = dict(rows.group_by("advertiser_id").agg(pl.col("date").max()).iter_rows())
    found = []
    for (owner, ad_id), of_ad in rows.group_by("advertiser_id", "ad_id"):
        days = {row["date"]: row for row in of_ad.to_dicts()}
        rates = {}
        for day in days:
            window = [days[one] for back in range(7) if (one := day - timedelta(back)) in days]
            shown = sum(row["impressions"] for row in window)
            if shown >= 5000:
                rates[day] = 100 * sum(row["video_watched_2s"] for row in window) / shown
        last = ends[owner]
        if last in rates and rates[last] < 0.9 * max(rates.values()):
            found.append({"ad_id": ad_id, "hook_rate": round(rates[last], 1)})
    return pl.DataFrame(found)


def pace(answers: Answers) -> pl.DataFrame:
    """Question 4."""
    rows = answers.table("advertiser_report_daily").filter("is_complete")
    rows = rows.with_columns(month=pl.col("date").dt.truncate("1mo"))
    months = rows.group_by("advertiser_id", "month").agg(pl.col("spend").sum(), pl.col("date").max()).sort("month")
    latest = months.group_by("advertiser_id", maintain_order=True).last()
    length = pl.col("month").dt.month_end().dt.day()
    return latest.select(
        "advertiser_id",
        "spend",
        projected=(pl.col("spend").cast(pl.Float64) / pl.col("date").dt.day() * length).round(2),
        spend_of_month_before=pl.Series(
            [
                months.filter(pl.col("advertiser_id") == owner).get_column("spend").to_list()[-2]
                for owner in latest.get_column("advertiser_id")
            ]
        ),
    )


def countries(answers: Answers) -> pl.DataFrame:
    """Question 6."""
    rows = answers.table(COUNTRY.table).filter("is_complete")
    return total(rows, ["advertiser_id", "country_code"], "spend", "conversion").rename(
        {"conversion": "conversions"}
    )


def objectives(answers: Answers) -> pl.DataFrame:
    """Question 7."""
    rows = answers.table("campaign_report_daily").join(
        answers.table("campaigns").select("campaign_id", "objective_type"), on="campaign_id", how="left"
    )
    rows = rows.with_columns(month=pl.col("date").dt.truncate("1mo"))
    return total(rows, ["currency", "month", "objective_type"], "spend")


def new_ads(answers: Answers) -> pl.DataFrame:
    """Question 8."""
    rows = answers.table("ad_report_daily")
    bounds = (
        rows.filter("is_complete")
        .group_by("advertiser_id")
        .agg(first=pl.col("date").min(), last=pl.col("date").max())
    )
    starts = rows.filter(pl.col("spend") > 0).group_by("advertiser_id", "ad_id").agg(started=pl.col("date").min())
    return total(
        rows.join(starts, on=["advertiser_id", "ad_id"])
        .join(bounds, on="advertiser_id")
        .filter(
            (pl.col("date") - pl.col("started")).dt.total_days().is_between(0, 2),
            pl.col("started") > pl.col("first"),
            (pl.col("last") - pl.col("started")).dt.total_days() < 28,
        ),
        ["ad_id", "started"],
        "spend",
        "impressions",
    )


def without_conversions(answers: Answers) -> pl.DataFrame:
    """Question 9."""
    keys = ["currency", "advertiser_id"]
    ads = total(answers.recent("ad_report_daily", 28), [*keys, "ad_id"], "spend", "conversion")
    accounts = total(ads, keys, "spend", "conversion").with_columns(
        limit=3 * pl.col("spend").cast(pl.Float64) / pl.col("conversion")
    )
    return (
        ads.filter(pl.col("conversion") == 0)
        .join(accounts.select(*keys, "limit"), on=keys)
        .filter(pl.col("spend").cast(pl.Float64) > pl.col("limit"))
        .select("ad_id", "spend")
    )


def weekdays(answers: Answers) -> pl.DataFrame:
    """Question 11."""
    rows = answers.table("advertiser_report_daily").filter("is_complete")
    grouped = rows.group_by("currency", weekday=pl.col("date").dt.weekday().cast(pl.Int64))
    spend, clicks, shown = (pl.col(name).sum().cast(pl.Float64) for name in ("spend", "clicks", "impressions"))
    return grouped.agg(
        days=pl.col("date").n_unique().cast(pl.Int64),
        spend_per_day=(spend / pl.col("date").n_unique()).round(2),
        ctr=(100 * clicks / shown).round(2),
    )


def automation(answers: Answers) -> pl.DataFrame:
    """Question 14."""
    rows = answers.recent("campaign_report_daily", 28).join(
        answers.table("campaigns").select("campaign_id", "objective_type", automation="campaign_automation_type"),
        on="campaign_id",
    )
    keys = ["currency", "objective_type", "automation"]
    summed = total(rows, keys, "spend", "total_complete_payment_value")
    value, spend = (pl.col(name).cast(pl.Float64) for name in ("total_complete_payment_value", "spend"))
    return summed.select(*keys, "spend", roas=(value / spend).round(2))


def spark(answers: Answers) -> pl.DataFrame:
    """Question 15."""
    ads = answers.table("ads").with_columns(
        kind=pl.when(pl.col("tiktok_item_id").fill_null("0").is_in(["", "0"]))
        .then(pl.lit("not Spark"))
        .otherwise(pl.lit("Spark"))
    )
    rows = answers.table("ad_report_daily").filter("is_complete").join(ads.select("ad_id", "kind"), on="ad_id")
    return total(rows, ["currency", "kind"], "spend")


def shared_videos(answers: Answers) -> pl.DataFrame:
    """Question 16."""
    ads = answers.table("ads").drop_nulls("video_id").select("ad_id", "video_id")
    rows = answers.table("ad_report_daily").filter("is_complete").join(ads, on="ad_id")
    placed = total(rows, ["video_id", "ad_group_id"], "spend")
    counted = placed.group_by("video_id").agg(ad_groups=pl.len())
    return placed.join(counted, on="video_id").filter(pl.col("ad_groups") > 1)


def deleted(answers: Answers) -> pl.DataFrame:
    """Question 17."""
    ads = answers.table("ads").filter(
        pl.col("secondary_status").str.ends_with("_DELETE") | (pl.col("operation_status") == "DELETE")
    )
    rows = answers.table("ad_report_daily").with_columns(month=pl.col("date").dt.truncate("1mo"))
    return total(rows.join(ads, on="ad_id", how="semi"), ["currency", "month"], "spend")


def currencies(answers: Answers) -> pl.DataFrame:
    """Question 18."""
    rows = answers.table("advertiser_report_daily").with_columns(month=pl.col("date").dt.truncate("1mo"))
    return total(rows, ["currency", "month"], "spend", "clicks")


def restated(answers: Answers) -> pl.DataFrame:
    """Question 19."""
    rows = answers.table("report_restatements")
    newest = rows.get_column("fetched_at").max()
    assert newest is not None
    rows = rows.filter(
        pl.col("previous_fetched_at").is_not_null(),
        pl.col("fetched_at") > pl.lit(newest) - pl.duration(days=7),
    )
    summed = total(rows, ["advertiser_id", "report", "date"], "spend_change", "conversion_change")
    return summed.filter((pl.col("spend_change") != 0) | (pl.col("conversion_change") != 0))


EXPECTED: Mapping[int, Callable[[Answers], pl.DataFrame]] = {
    1: spent_most_yesterday,
    2: worse_cost,
    3: worn_out,
    4: pace,
    6: countries,
    7: objectives,
    8: new_ads,
    9: without_conversions,
    11: weekdays,
    14: automation,
    15: spark,
    16: shared_videos,
    17: deleted,
    18: currencies,
    19: restated,
}
"""The answers that are computed again from the Parquet files, with the columns that are compared."""


def normalize(rows: list[Row], names: list[str]) -> list[tuple[Any, ...]]:
    """Return rows in an order of their own, with days as text and amounts without trailing zeros."""

    def _plain(value: Any) -> Any:  # noqa: ANN401 - any cell
        if isinstance(value, Decimal | float):
            return f"{float(value):.2f}"
        return str(value)[:10] if isinstance(value, date) else str(value)

    return sorted(tuple(_plain(row[name]) for name in names) for row in rows)


@pytest.mark.slow
def test_every_question_has_an_answer(answers: Answers) -> None:
    """There are twenty questions; each query runs, and returns rows unless the page says why it may be empty."""
    questions = read_questions()
    assert [one.number for one in questions] == list(range(1, 21))
    empty = [one.number for one in questions if not answers.ask(one.number) and MAY_BE_EMPTY not in one.text]
    assert empty == []
    tables = "|".join(sorted(TABLES))
    assert all(re.search(rf"\b(marts\.\w+|{tables})\b", one.sql) for one in questions)


@pytest.mark.slow
def test_answers_are_those_of_the_files(answers: Answers) -> None:
    """Of fifteen questions the answers equal those computed with Polars from the Parquet files."""
    for number, compute in EXPECTED.items():
        expected = compute(answers)
        found = answers.ask(number)
        assert expected.height, number
        assert normalize(found, expected.columns) == normalize(expected.to_dicts(), expected.columns), number


@pytest.mark.slow
def test_no_answer_mixes_currencies(answers: Answers) -> None:
    """Every row of an answer has a currency, so that amounts of different currencies are in different rows."""
    for one in read_questions():
        assert all(row["currency"] in {"USD", "EUR", "JPY"} for row in answers.ask(one.number)), one.number
