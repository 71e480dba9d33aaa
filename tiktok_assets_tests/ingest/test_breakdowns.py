"""Laws of hours and audiences: each row is the world's own, and the parts are those of the day."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.request_plan import AccountRowCounts, DateWindow, PlanLine, plan_requests
from tiktok_assets.ingest.estimates import count_report
from tiktok_assets.ingest.partitions import WrittenPartition
from tiktok_assets.ingest.report_reader import build_report_queries, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.ingest.writer import refresh_report
from tiktok_assets.sandbox.reads.breakdowns import split_delivery
from tiktok_assets.sandbox.world.delivery import Vector
from tiktok_assets.sandbox.world.facts import Facts, sum_over_ads
from tiktok_assets.sandbox.world.ground_truth import ID_AT_LEVEL
from tiktok_assets.sandbox.world.metrics import formatter_for
from tiktok_assets.sandbox.world.model import WorldPlan, epoch_seconds
from tiktok_assets.spec.metric_catalogue import METRICS, Metric
from tiktok_assets.spec.metrics import (
    METRICS_BY_API_NAME,
    STANDARD_METRICS,
    documented_metrics,
    select_metrics,
    summable_columns,
)
from tiktok_assets.spec.reports import OPTIONAL_REPORTS, REPORTS_BY_TABLE, Report, served_metrics
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.frames import report_schema
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import accounts_of, reading, typed

Cells = dict[tuple[Any, ...], dict[str, Any]]

SPRING = WorldPlan(
    anchor=datetime(2026, 4, 2, 18, tzinfo=UTC),
    dense=True,
    advertisers=3,
    days=40,
    campaigns=1,
    ad_groups=1,
    ads=2,
)
CLOCKS_BACK = {"America/Los_Angeles": date(2026, 11, 1), "Europe/Berlin": date(2026, 10, 25)}
CLOCKS_FORWARD = {"America/Los_Angeles": date(2026, 3, 8), "Europe/Berlin": date(2026, 3, 29)}
LAST_WEEK = [date(2026, 11, 2), date(2026, 11, 3)]
HOURLY = [report for report in OPTIONAL_REPORTS if report.time_dimension == "stat_time_hour"]
AUDIENCES = [report for report in OPTIONAL_REPORTS if report.breakdown]
named = pytest.mark.parametrize


@pytest.fixture(scope="module")
def spring_host() -> Iterator[Host]:
    """Los Angeles, Tokyo and Berlin in the weeks in which clocks go forward."""
    with Host.run(SPRING) as host:
        yield host


def true_cells(
    host: Host, report: Report, account: Account, days: list[date], metrics: tuple[Metric, ...]
) -> Cells:
    """The rows a report should have, from the ads' own facts: by owner, day, and hour or part of the audience."""
    world = host.sandbox.world
    facts, now = Facts(world), epoch_seconds(host.sandbox.clock.now())
    advertiser = world.advertisers[account.advertiser_id]
    cells: dict[tuple[Any, ...], list[Vector]] = {}
    for ad in advertiser.ads:
        for day in days:
            for told, vector in _parts(facts, report, ad, day, now):
                labels = tuple("unknown" if label == "NONE" else label for label in told)
                cells.setdefault((ID_AT_LEVEL[report.level.name](ad), day, *labels), []).append(vector)
    decimals = advertiser.currency.decimals
    return {
        key: {m.name: typed(m.kind, formatter_for(m.api_name, decimals)(sum_over_ads(vectors))) for m in metrics}
        for key, vectors in cells.items()
    }


def _parts(facts: Facts, report: Report, ad: Any, day: date, now: int) -> Iterator[tuple[tuple[Any, ...], Vector]]:  # noqa: ANN401
    ordinal = day.toordinal()
    if not report.breakdown:
        yield from (((label,), vector) for label, vector in facts.hours(ad, ordinal, now))
    elif ordinal in facts.days_of(ad, now) and (vector := facts.day(ad, ordinal, now)) is not None:
        yield from split_delivery(vector, ad, report.breakdown.dimensions)


def answered(host: Host, report: Report, account: Account, days: list[date]) -> pl.DataFrame:
    """The rows of a report over these days."""
    with reading(host) as one:
        answers = list(read_reports(one.reader, build_report_queries(report, account, days)))
    frames = [answer.frame for _, answer in answers if isinstance(answer, ReportResponse)]
    assert len(frames) == len(answers), answers
    return pl.concat(frames)


def cells_of(frame: pl.DataFrame, report: Report, metrics: tuple[Metric, ...]) -> Cells:
    """The rows of a frame in the shape of `true_cells`; a key that came twice is an error."""
    own = "advertiser_id" if report.level.name == "advertiser" else f"{report.level.name}_id"
    names = [own, *(name for name in report.key if name not in {"advertiser_id", own})]
    assert not frame.select(report.key).is_duplicated().any()
    return {tuple(row[name] for name in names): {m.name: row[m.name] for m in metrics} for row in frame.to_dicts()}


@named("report", OPTIONAL_REPORTS, ids=lambda report: report.table)
def test_every_part_of_every_account_is_the_truth(agency: Host, report: Report) -> None:
    """In dollars, yen and euros, on the days the clocks go back too: each part once, exact, no request refused."""
    metrics = tuple(m for m in served_metrics(report, STANDARD_METRICS) if m.kind == "money" or m.additive)
    accounts = [account for account in accounts_of(agency) if account.currency in {"USD", "JPY", "EUR"}][:3]
    assert {account.currency for account in accounts} == {"USD", "JPY", "EUR"}
    seen = 0
    for account in accounts:
        days = [*({CLOCKS_BACK[account.timezone]} if account.timezone in CLOCKS_BACK else ()), *LAST_WEEK]
        frame = answered(agency, report, account, days)
        assert frame.schema == report_schema(report, STANDARD_METRICS)
        assert cells_of(frame, report, metrics) == true_cells(agency, report, account, days, metrics)
        assert set(frame.get_column("currency")) == {account.currency}
        assert set(frame.get_column("extra")) == {None}
        assert frame.get_column("is_complete").all()
        seen += frame.height
    assert seen
    assert {one["code"] for one in agency.requests} == {0}


@named(("hosts", "changes", "hours"), [("agency_host", CLOCKS_BACK, 24), ("spring_host", CLOCKS_FORWARD, 23)])
def test_an_hour_is_that_of_the_accounts_clock(
    hosts: str, changes: dict[str, date], hours: int, request: pytest.FixtureRequest
) -> None:
    """The hour the clock repeats is one row that holds both, the hour it skips has none; sums are whole."""
    host: Host = request.getfixturevalue(hosts)
    host.behave()
    report, daily = REPORTS_BY_TABLE["advertiser_report_hourly"], REPORTS_BY_TABLE["advertiser_report_daily"]
    for account in accounts_of(host):
        if account.timezone in changes:
            day = changes[account.timezone]
            frame = answered(host, report, account, [day])
            skipped = {2} if hours == 23 else set()
            assert set(frame.get_column("hour")) == set(range(24)) - skipped
            whole = answered(host, daily, account, [day])
            sums = summable_columns(frame.columns)
            assert frame.select(sums).sum().row(0) == whole.select(sums).row(0)


@named(
    "report", [report for report in OPTIONAL_REPORTS if report.level.name == "campaign"], ids=lambda one: one.table
)
def test_parts_add_up_to_the_day_where_nothing_is_left_out(agency: Host, report: Report) -> None:
    """Hours, ages by gender, platforms, languages sum to the campaign's day; countries and interests do not."""
    account = accounts_of(agency)[0]
    parts = answered(agency, report, account, LAST_WEEK)
    days = answered(agency, REPORTS_BY_TABLE["campaign_report_daily"], account, LAST_WEEK)
    sums = summable_columns(parts.columns)
    keys = ["campaign_id", "date"]
    total = parts.group_by(keys).agg(pl.col(sums).sum()).sort(keys)
    whole = days.select(*keys, *sums).sort(keys)
    partial = report.breakdown is not None and report.breakdown.name in {"country", "interest"}
    if partial:
        assert total.get_column("spend").sum() < whole.get_column("spend").sum()
    else:
        assert total.equals(whole)


def test_hours_are_asked_for_a_day_at_a_time(small: Host) -> None:
    """Each question of an hourly report, and of interests, is one day; other audiences take thirty."""
    days = [date(2026, 11, 3) + timedelta(n) for n in range(5)]
    account = accounts_of(small)[0]
    for report, questions in (
        ("ad_report_hourly", 5),
        ("ad_audience_interest_daily", 5),
        ("ad_audience_country_daily", 1),
    ):
        windows = [one.window for one in build_report_queries(REPORTS_BY_TABLE[report], account, days)]
        assert len(windows) == questions
        assert [day for window in windows if window for day in window.days] == days
    work = {"7001": AccountRowCounts({}, {"ad_report_hourly": 240.0}, {})}
    lines = plan_requests(
        work, days, ["ad_report_hourly"], lists_accounts=False, window_days={"ad_report_hourly": 1}
    )
    assert lines == [PlanLine("ad_report_hourly", 5, 1200)]


def test_interests_belong_to_the_day_they_were_asked_for(agency: Host, store: HiveStore) -> None:
    """Rows that tell no day are kept in the partition of their question, one file a day, none without its rows."""
    report = REPORTS_BY_TABLE["campaign_audience_interest_daily"]
    account = accounts_of(agency)[0]
    with reading(agency) as one:
        made = list(refresh_report(one.reader, store, report, {account: LAST_WEEK}))
        counted = [count_report(one.reader, report, account, day) for day in LAST_WEEK]
    assert [outcome.partition.day for outcome in made if isinstance(outcome, WrittenPartition)] == LAST_WEEK
    assert [outcome.rows for outcome in made if isinstance(outcome, WrittenPartition)] == counted
    for outcome in made:
        assert isinstance(outcome, WrittenPartition)
        assert outcome.story.window == DateWindow(outcome.partition.day, outcome.partition.day)  # type: ignore[arg-type]
    asked = [one for one in agency.requests if "report" in one["path"]]
    assert {one["query"]["start_date"] == one["query"]["end_date"] for one in asked} == {True}


def test_every_metric_of_the_catalogue_is_served(agency: Host) -> None:
    """The account's days take all of the catalogue, cash and vouchers too; none is refused."""
    account = accounts_of(agency)[0]
    report = REPORTS_BY_TABLE["advertiser_report_daily"]
    values: Counter[str] = Counter()
    for start in range(0, len(METRICS), 60):
        metrics = (
            METRICS_BY_API_NAME["spend"],
            *(m for m in METRICS[start : start + 60] if m.api_name != "spend"),
        )
        with reading(agency, metrics=metrics) as one:
            ((_, answer),) = read_reports(one.reader, build_report_queries(report, account, LAST_WEEK))
        assert isinstance(answer, ReportResponse), answer
        assert answer.story.withdrawn_metrics == ()
        values.update({m.name: answer.frame.get_column(m.name).drop_nulls().len() for m in metrics})
    assert {name for name, filled in values.items() if not filled} == set()


def test_every_documented_metric_is_served(agency: Host) -> None:
    """All that TikTok documents may be asked for, each of its kind; a name nobody knows costs its column."""
    account = accounts_of(agency)[0]
    names = list(documented_metrics())
    for start in range(0, len(names), 90):
        metrics = select_metrics(",".join([*names[start : start + 90], "mood_of_the_viewer"]))
        with reading(agency, metrics=metrics) as one:
            ((_, answer),) = read_reports(
                one.reader, build_report_queries(REPORTS_BY_TABLE["campaign_report_daily"], account, LAST_WEEK)
            )
        assert isinstance(answer, ReportResponse), answer
        assert answer.story.withdrawn_metrics == ("mood_of_the_viewer",)
        assert set(answer.frame.get_column("extra")) == {None}
        for metric in metrics[1:-1]:
            assert answer.frame.get_column(metric.name).null_count() == 0, metric


@named("report", AUDIENCES, ids=lambda report: report.table)
def test_an_audience_is_asked_for_what_it_serves(agency: Host, report: Report) -> None:
    """Whatever is chosen, no request about an audience is refused; people come by country, payments nowhere."""
    account = accounts_of(agency)[0]
    for start in range(0, len(METRICS), 60):
        metrics = (METRICS[0], *METRICS[max(start, 1) : start + 60])
        with reading(agency, metrics=metrics) as one:
            ((_, answer),) = read_reports(one.reader, build_report_queries(report, account, LAST_WEEK[:1]))
        assert isinstance(answer, ReportResponse), answer
        assert answer.story.withdrawn_metrics == ()
    assert {one["code"] for one in agency.requests} == {0}
    served = {m.name for m in served_metrics(report, METRICS)}
    assert ("reach" in served) == ("country_code" in report.dimensions)
    assert not served & {"complete_payment", "onsite_shopping", "total_complete_payment_value", "app_install"}


def test_cash_and_vouchers_are_the_cost(agency: Host) -> None:
    """Cash and voucher spend are asked of the account's days alone, where they add up to the cost."""
    metrics = tuple(METRICS_BY_API_NAME[name] for name in ("spend", "cash_spend", "voucher_spend"))
    account = accounts_of(agency)[2]
    with reading(agency, metrics=metrics) as one:
        for level in ("advertiser", "campaign"):
            for table in (f"{level}_report_daily", f"{level}_report_lifetime", f"{level}_report_hourly"):
                report = REPORTS_BY_TABLE[table]
                for _, answer in read_reports(one.reader, build_report_queries(report, account, LAST_WEEK)):
                    assert isinstance(answer, ReportResponse), answer
                    if table == "advertiser_report_daily":
                        assert answer.frame.height == len(LAST_WEEK)
                        for spend, cash, voucher in answer.frame.select(
                            "spend", "cash_spend", "voucher_spend"
                        ).rows():
                            assert cash + voucher == spend > Decimal(0)
                    else:
                        assert "cash_spend" not in answer.frame.columns


def test_what_is_recomputed_is_what_tiktok_tells(agency: Host) -> None:
    """Every rate, ratio and cost-per with a declared quotient is that quotient, to the last digit TikTok shows."""
    quotients = [metric for metric in METRICS if metric.quotient]
    parts = {name for m in quotients if m.quotient for name in (m.quotient.top, m.quotient.bottom)}
    account = accounts_of(agency)[0]
    report = REPORTS_BY_TABLE["ad_report_lifetime"]
    bases = tuple(METRICS_BY_API_NAME[name] for name in sorted(parts | {"spend"}))
    with reading(agency, metrics=(*bases, *quotients)) as one:
        ((_, answer),) = read_reports(one.reader, build_report_queries(report, account, []))
    assert isinstance(answer, ReportResponse), answer
    compared = 0
    for row in answer.frame.to_dicts():
        for metric in quotients:
            assert metric.quotient
            top, bottom = (
                row[METRICS_BY_API_NAME[name].name] for name in (metric.quotient.top, metric.quotient.bottom)
            )
            if bottom:
                recomputed = Decimal(top) * metric.quotient.times / Decimal(bottom)
                assert abs(recomputed - Decimal(str(row[metric.name]))) <= Decimal("0.00501"), (metric.name, row)
                compared += 1
    assert compared > 1000


def test_smart_plus_is_counted_once(agency: Host) -> None:
    """The creatives of an upgraded Smart+ campaign sum to its spend, once, by day and over its life."""
    account = accounts_of(agency)[2]
    campaigns = agency.truth("campaigns", advertiser_id=account.advertiser_id)
    (smart,) = [
        one["campaign_id"] for one in campaigns if one["campaign_automation_type"] == "UPGRADED_SMART_PLUS"
    ]
    ads = {one["ad_id"]: one for one in agency.truth("ads", advertiser_id=account.advertiser_id)}
    for cadence in ("daily", "lifetime"):
        rows = answered(agency, REPORTS_BY_TABLE[f"ad_report_{cadence}"], account, LAST_WEEK)
        above = answered(agency, REPORTS_BY_TABLE[f"campaign_report_{cadence}"], account, LAST_WEEK)
        mine = rows.filter(pl.col("campaign_id") == smart)
        assert (
            mine.get_column("spend").sum()
            == above.filter(pl.col("campaign_id") == smart).get_column("spend").sum()
        )
        assert mine.get_column("spend").sum() > 0
        # Each row is a creative that the table `ads` knows with its parents and with the ad it belongs to.
        for row in mine.to_dicts():
            known = ads[row["ad_id"]]
            assert (known["campaign_id"], known["adgroup_id"]) == (row["campaign_id"], row["ad_group_id"])
            assert known["ad_id_v2"] == known["smart_plus_ad_id"] != row["ad_id"]
        assert rows.get_column("spend").sum() == above.get_column("spend").sum()
    asked = [one["query"] for one in agency.requests if "report" in one["path"]]
    assert "ad_id_v2" not in str(asked)
