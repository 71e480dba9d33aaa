"""Test hourly reports and audience reports: each row is exact, and the segments add up to the day."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tiktok_assets.api.request_plan import AccountRowCounts, DateWindow, PlanLine, plan_requests
from tiktok_assets.ingest.partitions import WrittenPartition
from tiktok_assets.ingest.report_reader import plan_report_requests, read_reports
from tiktok_assets.ingest.report_responses import ReportResponse
from tiktok_assets.ingest.size_estimates import count_report
from tiktok_assets.ingest.writer import refresh_report
from tiktok_assets.sandbox.reads.breakdowns import split_delivery
from tiktok_assets.sandbox.world.ad_delivery import Vector
from tiktok_assets.sandbox.world.facts import Facts, sum_over_ads
from tiktok_assets.sandbox.world.ground_truth import ID_AT_LEVEL
from tiktok_assets.sandbox.world.metrics import formatter_for
from tiktok_assets.sandbox.world.model import WorldPlan, epoch_seconds
from tiktok_assets.spec.metric_catalog import METRICS, Metric
from tiktok_assets.spec.metric_selection import (
    METRICS_BY_API_NAME,
    STANDARD_METRICS,
    documented_metrics,
    select_metrics,
    summable_columns,
)
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import OPTIONAL_REPORTS, REPORTS_BY_TABLE, served_metrics
from tiktok_assets.storage.parquet_store import HiveStore
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import report_schema
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import granted_accounts, open_reader, to_column_value

Segments = dict[tuple[Any, ...], dict[str, Any]]

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


@pytest.fixture(scope="module")
def spring_host() -> Iterator[Host]:
    """Run Los Angeles, Tokyo and Berlin in the weeks in which clocks go forward."""
    with Host.run(SPRING) as host:
        yield host


def expected_segments(
    host: Host, report: Report, account: Account, days: list[date], metrics: tuple[Metric, ...]
) -> Segments:
    """Return the expected rows, computed from the delivery of each ad, by id, day, and hour or segment."""
    world = host.sandbox.world
    facts, now = Facts(world), epoch_seconds(host.sandbox.clock.now())
    advertiser = world.advertisers[account.advertiser_id]
    segments: dict[tuple[Any, ...], list[Vector]] = {}
    for ad in advertiser.ads:
        for day in days:
            for raw_labels, vector in _split_day(facts, report, ad, day, now):
                labels = tuple("unknown" if label == "NONE" else label for label in raw_labels)
                segments.setdefault((ID_AT_LEVEL[report.level.name](ad), day, *labels), []).append(vector)
    decimals = advertiser.currency.decimals
    return {
        key: {
            m.name: to_column_value(m.kind, formatter_for(m.api_name, decimals)(sum_over_ads(vectors)))
            for m in metrics
        }
        for key, vectors in segments.items()
    }


def _split_day(
    facts: Facts,
    report: Report,
    ad: Any,  # noqa: ANN401
    day: date,
    now: int,
) -> Iterator[tuple[tuple[Any, ...], Vector]]:
    ordinal = day.toordinal()
    if not report.breakdown:
        yield from (((label,), vector) for label, vector in facts.hours(ad, ordinal, now))
    elif ordinal in facts.possible_days(ad, now) and (vector := facts.day(ad, ordinal, now)) is not None:
        yield from split_delivery(vector, ad, report.breakdown.dimensions)


def read_report(host: Host, report: Report, account: Account, days: list[date]) -> pl.DataFrame:
    """Read the rows of a report over these days."""
    with open_reader(host) as one:
        responses = list(read_reports(one.reader, plan_report_requests(report, account, days)))
    frames = [response.frame for _, response in responses if isinstance(response, ReportResponse)]
    assert len(frames) == len(responses), responses
    return pl.concat(frames)


def segment_rows(frame: pl.DataFrame, report: Report, metrics: tuple[Metric, ...]) -> Segments:
    """Return the rows of a frame in the shape of `expected_segments`; duplicate keys are an error."""
    id_column = "advertiser_id" if report.level.name == "advertiser" else f"{report.level.name}_id"
    names = [id_column, *(name for name in report.key if name not in {"advertiser_id", id_column})]
    assert not frame.select(report.key).is_duplicated().any()
    return {tuple(row[name] for name in names): {m.name: row[m.name] for m in metrics} for row in frame.to_dicts()}


@pytest.mark.slow
@pytest.mark.parametrize("report", OPTIONAL_REPORTS, ids=lambda report: report.table)
def test_every_segment_of_every_account_is_exact(agency: Host, report: Report) -> None:
    """In USD, JPY and EUR, also on the day the clocks go back: each segment once, and no request is refused."""
    metrics = tuple(m for m in served_metrics(report, STANDARD_METRICS) if m.kind == "money" or m.is_additive)
    accounts = [account for account in granted_accounts(agency) if account.currency in {"USD", "JPY", "EUR"}][:3]
    assert {account.currency for account in accounts} == {"USD", "JPY", "EUR"}
    rows_read = 0
    for account in accounts:
        days = [*({CLOCKS_BACK[account.timezone]} if account.timezone in CLOCKS_BACK else ()), *LAST_WEEK]
        frame = read_report(agency, report, account, days)
        assert frame.schema == report_schema(report, STANDARD_METRICS)
        assert segment_rows(frame, report, metrics) == expected_segments(agency, report, account, days, metrics)
        assert set(frame.get_column("currency")) == {account.currency}
        assert set(frame.get_column("extra")) == {None}
        assert frame.get_column("is_complete").all()
        rows_read += frame.height
    assert rows_read
    assert {one["code"] for one in agency.requests} == {0}


@pytest.mark.parametrize(
    ("host_fixture", "changes", "hours"), [("agency_host", CLOCKS_BACK, 24), ("spring_host", CLOCKS_FORWARD, 23)]
)
def test_hours_follow_the_time_zone_of_the_account(
    host_fixture: str, changes: dict[str, date], hours: int, request: pytest.FixtureRequest
) -> None:
    """The repeated hour is one row with both, the skipped hour has no row, and the sums equal the day."""
    host: Host = request.getfixturevalue(host_fixture)
    host.reset()
    report, daily = REPORTS_BY_TABLE["advertiser_report_hourly"], REPORTS_BY_TABLE["advertiser_report_daily"]
    for account in granted_accounts(host):
        if account.timezone in changes:
            day = changes[account.timezone]
            frame = read_report(host, report, account, [day])
            skipped = {2} if hours == 23 else set()
            assert set(frame.get_column("hour")) == set(range(24)) - skipped
            day_total = read_report(host, daily, account, [day])
            sums = summable_columns(frame.columns)
            assert frame.select(sums).sum().row(0) == day_total.select(sums).row(0)


@pytest.mark.parametrize(
    "report", [report for report in OPTIONAL_REPORTS if report.level.name == "campaign"], ids=lambda one: one.table
)
def test_complete_breakdowns_add_up_to_the_day(agency: Host, report: Report) -> None:
    """Hours and most breakdowns add up to the day; countries, provinces, markets and interests do not."""
    account = granted_accounts(agency)[0]
    segments = read_report(agency, report, account, LAST_WEEK)
    days = read_report(agency, REPORTS_BY_TABLE["campaign_report_daily"], account, LAST_WEEK)
    sums = summable_columns(segments.columns)
    keys = ["campaign_id", "date"]
    total = segments.group_by(keys).agg(pl.col(sums).sum()).sort(keys)
    day_total = days.select(*keys, *sums).sort(keys)
    is_incomplete = report.breakdown is not None and report.breakdown.name in {
        "country",
        "interest",
        "province",
        "dma",
    }
    if is_incomplete:
        assert total.get_column("spend").sum() < day_total.get_column("spend").sum()
    else:
        assert total.equals(day_total)


def test_hourly_reports_are_requested_one_day_at_a_time(small: Host) -> None:
    """Each request of an hourly or interest report is one day; other audience reports take thirty."""
    days = [date(2026, 11, 3) + timedelta(n) for n in range(5)]
    account = granted_accounts(small)[0]
    for report, expected_windows in (
        ("ad_report_hourly", 5),
        ("ad_audience_interest_daily", 5),
        ("ad_audience_device_daily", 5),
        ("ad_audience_province_daily", 1),
        ("ad_audience_country_daily", 1),
    ):
        windows = [one.window for one in plan_report_requests(REPORTS_BY_TABLE[report], account, days)]
        assert len(windows) == expected_windows
        assert [day for window in windows if window for day in window.days] == days
    work = {"7001": AccountRowCounts({}, {"ad_report_hourly": 240.0}, {})}
    lines = plan_requests(
        work, days, ["ad_report_hourly"], include_account_list=False, window_days={"ad_report_hourly": 1}
    )
    assert lines == [PlanLine("ad_report_hourly", 5, 1200)]


def test_interest_rows_belong_to_the_requested_day(agency: Host, store: HiveStore) -> None:
    """Rows that contain no day are stored in the partition of the requested day, one file per day."""
    report = REPORTS_BY_TABLE["campaign_audience_interest_daily"]
    account = granted_accounts(agency)[0]
    with open_reader(agency) as one:
        outcomes = list(refresh_report(one.reader, store, report, {account: LAST_WEEK}))
        counts = [count_report(one.reader, report, account, day) for day in LAST_WEEK]
    assert [outcome.partition.day for outcome in outcomes if isinstance(outcome, WrittenPartition)] == LAST_WEEK
    assert [outcome.rows for outcome in outcomes if isinstance(outcome, WrittenPartition)] == counts
    for outcome in outcomes:
        assert isinstance(outcome, WrittenPartition)
        assert outcome.stats.window == DateWindow(outcome.partition.day, outcome.partition.day)  # type: ignore[arg-type]
    report_requests = [one for one in agency.requests if "report" in one["path"]]
    assert {one["query"]["start_date"] == one["query"]["end_date"] for one in report_requests} == {True}


def test_every_metric_of_the_catalogue_is_served(agency: Host) -> None:
    """The daily account report serves all metrics of the catalogue, cash and vouchers included."""
    account = granted_accounts(agency)[0]
    report = REPORTS_BY_TABLE["advertiser_report_daily"]
    values: Counter[str] = Counter()
    for start in range(0, len(METRICS), 60):
        metrics = (
            METRICS_BY_API_NAME["spend"],
            *(m for m in METRICS[start : start + 60] if m.api_name != "spend"),
        )
        with open_reader(agency, metrics=metrics) as one:
            ((_, response),) = read_reports(one.reader, plan_report_requests(report, account, LAST_WEEK))
        assert isinstance(response, ReportResponse), response
        assert response.stats.refused_metrics == ()
        values.update({m.name: response.frame.get_column(m.name).drop_nulls().len() for m in metrics})
    assert {name for name, filled in values.items() if not filled} == set()


def test_every_documented_metric_is_served(agency: Host) -> None:
    """All metrics that TikTok documents can be requested; an unknown name makes only its column null."""
    account = granted_accounts(agency)[0]
    names = list(documented_metrics())
    for start in range(0, len(names), 90):
        metrics = select_metrics(",".join([*names[start : start + 90], "undocumented_metric"]))
        with open_reader(agency, metrics=metrics) as one:
            ((_, response),) = read_reports(
                one.reader, plan_report_requests(REPORTS_BY_TABLE["campaign_report_daily"], account, LAST_WEEK)
            )
        assert isinstance(response, ReportResponse), response
        assert response.stats.refused_metrics == ("undocumented_metric",)
        assert set(response.frame.get_column("extra")) == {None}
        for metric in metrics[1:-1]:
            assert response.frame.get_column(metric.name).null_count() == 0, metric


@pytest.mark.parametrize("report", AUDIENCES, ids=lambda report: report.table)
def test_an_audience_report_requests_only_metrics_it_serves(agency: Host, report: Report) -> None:
    """Whatever metrics are chosen, no audience request is refused; reach is served by country only."""
    account = granted_accounts(agency)[0]
    for start in range(0, len(METRICS), 60):
        metrics = (METRICS[0], *METRICS[max(start, 1) : start + 60])
        with open_reader(agency, metrics=metrics) as one:
            ((_, response),) = read_reports(one.reader, plan_report_requests(report, account, LAST_WEEK[:1]))
        assert isinstance(response, ReportResponse), response
        assert response.stats.refused_metrics == ()
    assert {one["code"] for one in agency.requests} == {0}
    served = {m.name for m in served_metrics(report, METRICS)}
    assert ("reach" in served) == ("country_code" in report.dimensions)
    assert not served & {"complete_payment", "onsite_shopping", "total_complete_payment_value", "app_install"}


def test_cash_and_vouchers_add_up_to_spend(agency: Host) -> None:
    """Cash and voucher spend are requested only in the daily account report, where they add up to spend."""
    metrics = tuple(METRICS_BY_API_NAME[name] for name in ("spend", "cash_spend", "voucher_spend"))
    account = granted_accounts(agency)[2]
    with open_reader(agency, metrics=metrics) as one:
        for level in ("advertiser", "campaign"):
            for table in (f"{level}_report_daily", f"{level}_report_lifetime", f"{level}_report_hourly"):
                report = REPORTS_BY_TABLE[table]
                for _, response in read_reports(one.reader, plan_report_requests(report, account, LAST_WEEK)):
                    assert isinstance(response, ReportResponse), response
                    if table == "advertiser_report_daily":
                        assert response.frame.height == len(LAST_WEEK)
                        for spend, cash, voucher in response.frame.select(
                            "spend", "cash_spend", "voucher_spend"
                        ).rows():
                            assert cash + voucher == spend > Decimal(0)
                    else:
                        assert "cash_spend" not in response.frame.columns


def test_recomputed_quotients_equal_tiktoks_values(agency: Host) -> None:
    """Every rate, ratio and cost-per metric equals its declared quotient, to the last digit TikTok returns."""
    quotient_metrics = [metric for metric in METRICS if metric.quotient]
    segments = {
        name for m in quotient_metrics if m.quotient for name in (m.quotient.numerator, m.quotient.denominator)
    }
    account = granted_accounts(agency)[0]
    report = REPORTS_BY_TABLE["ad_report_lifetime"]
    base_metrics = tuple(METRICS_BY_API_NAME[name] for name in sorted(segments | {"spend"}))
    with open_reader(agency, metrics=(*base_metrics, *quotient_metrics)) as one:
        ((_, response),) = read_reports(one.reader, plan_report_requests(report, account, []))
    assert isinstance(response, ReportResponse), response
    compared = 0
    for row in response.frame.to_dicts():
        for metric in quotient_metrics:
            assert metric.quotient
            numerator, denominator = (
                row[METRICS_BY_API_NAME[name].name]
                for name in (metric.quotient.numerator, metric.quotient.denominator)
            )
            if denominator:
                recomputed = Decimal(numerator) * metric.quotient.factor / Decimal(denominator)
                assert abs(recomputed - Decimal(str(row[metric.name]))) <= Decimal("0.00501"), (metric.name, row)
                compared += 1
    assert compared > 1000


def test_smart_plus_is_counted_once(agency: Host) -> None:
    """The creatives of an upgraded Smart+ campaign add up to its spend, per day and over its lifetime."""
    account = granted_accounts(agency)[2]
    campaigns = agency.ground_truth("campaigns", advertiser_id=account.advertiser_id)
    (smart,) = [
        one["campaign_id"] for one in campaigns if one["campaign_automation_type"] == "UPGRADED_SMART_PLUS"
    ]
    ads = {one["ad_id"]: one for one in agency.ground_truth("ads", advertiser_id=account.advertiser_id)}
    for cadence in ("daily", "lifetime"):
        rows = read_report(agency, REPORTS_BY_TABLE[f"ad_report_{cadence}"], account, LAST_WEEK)
        campaigns_report = read_report(agency, REPORTS_BY_TABLE[f"campaign_report_{cadence}"], account, LAST_WEEK)
        creatives = rows.filter(pl.col("campaign_id") == smart)
        assert (
            creatives.get_column("spend").sum()
            == campaigns_report.filter(pl.col("campaign_id") == smart).get_column("spend").sum()
        )
        assert creatives.get_column("spend").sum() > 0
        # Each row is a creative that the table `ads` contains, with the same parents and the ad it belongs to.
        for row in creatives.to_dicts():
            listed_ad = ads[row["ad_id"]]
            assert (listed_ad["campaign_id"], listed_ad["adgroup_id"]) == (row["campaign_id"], row["ad_group_id"])
            assert listed_ad["ad_id_v2"] == listed_ad["smart_plus_ad_id"] != row["ad_id"]
        assert rows.get_column("spend").sum() == campaigns_report.get_column("spend").sum()
    report_requests = [one["query"] for one in agency.requests if "report" in one["path"]]
    assert "ad_id_v2" not in str(report_requests)
