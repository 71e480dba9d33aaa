"""Tests of the tables of Upgraded Smart+: what they hold, what they cost, and for which accounts they are read."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from tiktok_assets.api.errors import RequestError
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.ingest.account_reader import describe_forbidden_endpoints, describe_missing_endpoints
from tiktok_assets.ingest.entity_reader import read_entities
from tiktok_assets.ingest.lookback import find_missing_days, select_refresh_window
from tiktok_assets.ingest.partitions import NO_REQUESTS, FailedPartitions, WrittenPartition
from tiktok_assets.ingest.queries import build_report_query
from tiktok_assets.ingest.report_parts import merge_parts, split_into_parts
from tiktok_assets.ingest.report_responses import ReportRequest, ReportResponse
from tiktok_assets.ingest.writer import refresh_entity, refresh_report
from tiktok_assets.sandbox.world.model import WorldPlan
from tiktok_assets.spec.entities import CAMPAIGNS, LISTED_ENTITIES, SMART_PLUS_ADS, Entity
from tiktok_assets.spec.metric_selection import STANDARD_METRICS
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import DAILY_REPORTS, REPORTS_BY_TABLE, STANDARD_REPORTS
from tiktok_assets.spec.smart_plus_reports import SMART_PLUS_REPORTS
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.tables.account_calendar import Account
from tiktok_assets.tables.schema import build_schema, entity_columns, report_schema
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.ingest.conftest import (
    OpenReader,
    days_back,
    decode_rows,
    expected_entity,
    granted_accounts,
    open_reader,
)

AD_DAILY, AD_LIFETIME, CREATIVE_DAILY, CREATIVE_LIFETIME = SMART_PLUS_REPORTS
DAYS = days_back(5, 1)
PATHS = {"smart_plus/ad/get", "smart_plus/material_report/overview", "smart_plus/material_report/breakdown"}


@pytest.fixture(scope="module")
def smart_plus_host() -> Iterator[Host]:
    """Run three accounts, of which the third has an Upgraded Smart+ campaign with two ads of five creatives."""
    with Host.run(WorldPlan(days=75, advertisers=3)) as host:
        yield host


@pytest.fixture
def host(smart_plus_host: Host) -> Iterator[Host]:
    """Return the three accounts without injected faults."""
    smart_plus_host.reset()
    yield smart_plus_host
    smart_plus_host.reset()


def refresh(
    one: OpenReader, store: HiveStore, host: Host, *tables: Entity | Report
) -> list[WrittenPartition | FailedPartitions]:
    """Refresh tables of all accounts, reports by day over five days."""
    accounts = granted_accounts(host)
    outcomes: list[WrittenPartition | FailedPartitions] = []
    for table in tables:
        if isinstance(table, Entity):
            outcomes += refresh_entity(one.reader, store, table, [account.advertiser_id for account in accounts])
        else:
            outcomes += refresh_report(one.reader, store, table, dict.fromkeys(accounts, DAYS))
    return outcomes


def read_report(store: HiveStore, report: Report) -> pl.DataFrame:
    """Return the stored rows of a report."""
    return store.scan(report.table, report_schema(report, STANDARD_METRICS)).collect()


def sum_creatives(host: Host, account: Account) -> dict[tuple[str, date], Decimal]:
    """Return the spend of each Smart+ ad on each day, as the sum of its creatives in the ground truth."""
    owner = account.advertiser_id
    ad_of = {ad["ad_id"]: ad["smart_plus_ad_id"] for ad in host.ground_truth("ads", advertiser_id=owner)}
    window = {"start_date": DAYS[0].isoformat(), "end_date": DAYS[-1].isoformat()}
    spend: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for fact in host.ground_truth("report", level="ad", advertiser_id=owner, **window):
        if ad_of[fact["id"]]:
            spend[ad_of[fact["id"]], date.fromisoformat(fact["date"])] += Decimal(fact["metrics"]["spend"])
    return spend


def test_every_smart_plus_ad_is_stored_exactly(host: Host, store: HiveStore) -> None:
    """Each Upgraded Smart+ ad is stored with every field, and every creative names one of them."""
    with open_reader(host) as one:
        outcomes = refresh(one, store, host, *LISTED_ENTITIES)
    assert {type(outcome) for outcome in outcomes} == {WrittenPartition}
    columns = entity_columns(SMART_PLUS_ADS)
    rows = store.scan(SMART_PLUS_ADS.table, build_schema(columns)).collect()
    (account,) = granted_accounts(host)[2:]
    truth = host.ground_truth(SMART_PLUS_ADS.table, advertiser_id=account.advertiser_id)
    expected = {ad["smart_plus_ad_id"]: expected_entity(SMART_PLUS_ADS, ad) for ad in truth}
    assert {row["smart_plus_ad_id"]: row for row in decode_rows(rows, columns)} == expected
    creatives = host.ground_truth("ads", advertiser_id=account.advertiser_id)
    assert {ad["smart_plus_ad_id"] for ad in creatives} - {None} == expected.keys()


def test_smart_plus_ads_have_the_sums_of_their_creatives(host: Host, store: HiveStore) -> None:
    """A Smart+ ad has the spend of its creatives on each day, its lists of texts and buttons, and no manual ad."""
    with open_reader(host) as one:
        refresh(one, store, host, CAMPAIGNS, AD_DAILY, AD_LIFETIME)
    account = granted_accounts(host)[2]
    rows = read_report(store, AD_DAILY)
    found = {(row["smart_plus_ad_id"], row["date"]): row["spend"] for row in rows.to_dicts()}
    assert found == sum_creatives(host, account)
    assert set(rows.get_column("ad_text_list")) == {f'["Smart+ ad {n}: try it today."]' for n in (1, 2)}
    assert set(rows.get_column("call_to_action_list")) == {'["LEARN_MORE"]'}
    assert set(read_report(store, AD_LIFETIME).get_column("smart_plus_ad_id")) == {ad for ad, _ in found}


def test_main_materials_split_the_spend_of_an_ad(host: Host, store: HiveStore) -> None:
    """The main materials of an ad sum to it, and so do its texts; the recorded spend counts one of them."""
    with open_reader(host) as one:
        outcomes = refresh(one, store, host, CAMPAIGNS, AD_DAILY, AD_LIFETIME, CREATIVE_DAILY, CREATIVE_LIFETIME)
    for report, ads, by in (
        (CREATIVE_LIFETIME, AD_LIFETIME, ["smart_plus_ad_id"]),
        (CREATIVE_DAILY, AD_DAILY, ["date"]),
    ):
        sums = read_report(store, report).group_by("element", *by).agg(pl.col("spend", "clicks").sum())
        expected = read_report(store, ads).group_by(by).agg(pl.col("spend", "clicks").sum()).sort(by)
        elements = set(sums.get_column("element"))
        assert elements == {"main_material", "ad_text", "call_to_action"}
        for element in elements:
            assert sums.filter(element=element).drop("element").sort(by).equals(expected)
        stored = sum(
            sum(outcome.spend.values())
            for outcome in outcomes
            if isinstance(outcome, WrittenPartition) and outcome.table == report.table
        )
        assert stored == expected.get_column("spend").sum()


def test_an_account_without_smart_plus_costs_no_request(host: Host, store: HiveStore) -> None:
    """It has partitions without rows where a table has one for each account, and none of days."""
    without = [account.advertiser_id for account in granted_accounts(host)[:2]]
    with open_reader(host) as one:
        refresh(one, store, host, CAMPAIGNS)
        host.sandbox.state.requests.clear()
        outcomes = refresh(one, store, host, SMART_PLUS_ADS, *SMART_PLUS_REPORTS)
    assert {type(outcome) for outcome in outcomes} == {WrittenPartition}
    asked = [request["query"]["advertiser_id"] for request in host.requests]
    assert asked == [granted_accounts(host)[2].advertiser_id] * (1 + 1 + 1 + 4 + 4)
    for owner in without:
        partitions = {table: list(store.partitions(table, [owner])) for table in (SMART_PLUS_ADS.table, *TABLES)}
        days = {table for table, found in partitions.items() if not found}
        assert days == {AD_DAILY.table, CREATIVE_DAILY.table}
        assert all(found == [Partition(owner)] for table, found in partitions.items() if table not in days)
        assert list(store.partitions("smart_plus_ads_history", [owner])) == []


TABLES = [report.table for report in SMART_PLUS_REPORTS]


def test_an_account_whose_campaigns_are_unknown_is_left_out(host: Host, store: HiveStore) -> None:
    """Before its campaigns are stored, no request is sent for an account and nothing is written."""
    with open_reader(host) as one:
        assert refresh(one, store, host, SMART_PLUS_ADS, *SMART_PLUS_REPORTS) == []
    assert host.requests == []


def test_only_accounts_with_smart_plus_have_days_to_read(host: Host, store: HiveStore) -> None:
    """Days of Smart+ reports are missing only for an account with such a campaign; then they extend the window."""
    first, _, third = granted_accounts(host)
    now, start = datetime(2026, 11, 9, 18, tzinfo=UTC), date(2026, 9, 1)
    with open_reader(host) as one:
        refresh(one, store, host, CAMPAIGNS)
        days = days_back(30, 1)
        for report in DAILY_REPORTS:
            list(refresh_report(one.reader, store, report, dict.fromkeys([first, third], days)))
        tables = [report.table for report in STANDARD_REPORTS if report.cadence == "daily"]

        def window(account: Account) -> DateWindow | None:
            return select_refresh_window(store, tables, account, now, start=start, lookback_days=0, sweep_days=0)

        assert window(first) == DateWindow(days[-1], days[-1])
        assert window(third) == DateWindow(days[0], days[-1])
        assert find_missing_days(store, AD_DAILY.table, first, now, start=start) == []
        assert len(find_missing_days(store, AD_DAILY.table, third, now, start=start)) == (now.date() - start).days
        list(refresh_report(one.reader, store, AD_DAILY, {third: days}))
        # The endpoint of creatives may be refused every day, and must not cost the other tables thirty days.
        assert window(third) == DateWindow(days[-1], days[-1])


def test_a_long_list_is_read_in_ranges_of_creation(host: Host) -> None:
    """A list with more rows than its limit is read in ranges of half a year, each object once."""
    owner = granted_accounts(host)[2].advertiser_id
    ranges = SMART_PLUS_ADS.creation_ranges
    assert ranges
    limited = replace(SMART_PLUS_ADS, creation_ranges=replace(ranges, above_rows=1))
    with open_reader(host) as one:
        ((_, whole),) = read_entities(one.reader, SMART_PLUS_ADS, [owner])
        host.sandbox.state.requests.clear()
        ((_, found),) = read_entities(one.reader, limited, [owner])
    assert not isinstance(whole, Exception)
    assert not isinstance(found, Exception)
    assert found[0].drop("fetched_at").equals(whole[0].drop("fetched_at"))
    filters = [request["query"]["filtering"] for request in host.requests]
    assert ["creation_filter_start_time" in one for one in filters] == [False, *[True] * 4]


def test_a_missing_endpoint_costs_only_its_tables(host: Host, store: HiveStore) -> None:
    """A host without the endpoints leaves out their tables with one sentence; all others are written."""
    for path in PATHS:
        host.inject_fault("code", path=path, code=40400, message="No such route.", times=None)
    with open_reader(host) as one:
        outcomes = refresh(one, store, host, *LISTED_ENTITIES, *STANDARD_REPORTS)
        missing = one.client.backoff.missing_paths
    failed = [outcome for outcome in outcomes if isinstance(outcome, FailedPartitions)]
    assert {outcome.table for outcome in failed} == {
        *(SMART_PLUS_ADS.table, CREATIVE_DAILY.table, CREATIVE_LIFETIME.table)
    }
    assert all(outcome.is_not_offered for outcome in failed)
    assert {path.strip("/") for path in missing} == PATHS
    sentence = describe_missing_endpoints(missing)
    assert sentence.endswith("is not stored")
    assert "time zones" not in sentence


def test_a_missing_permission_costs_only_its_tables(host: Host, store: HiveStore) -> None:
    """A token without the permission leaves out the tables with one sentence that says what to select."""
    host.control("POST", "switches", no_scope_for=["smart_plus"])
    with open_reader(host) as one:
        outcomes = refresh(one, store, host, *LISTED_ENTITIES, *SMART_PLUS_REPORTS)
        forbidden = one.client.backoff.forbidden_paths
    failed = [outcome for outcome in outcomes if isinstance(outcome, FailedPartitions)]
    assert {outcome.table for outcome in failed} == {
        *(SMART_PLUS_ADS.table, CREATIVE_DAILY.table, CREATIVE_LIFETIME.table)
    }
    assert all(outcome.is_not_offered for outcome in failed)
    assert {path.strip("/") for path in forbidden} == PATHS
    assert "Ads Management and Reporting on the app's page" in describe_forbidden_endpoints(forbidden)


def test_a_report_of_ads_without_permission_is_a_failure(host: Host, store: HiveStore) -> None:
    """An endpoint that every account needs is never left out silently."""
    host.control("POST", "switches", no_scope_for=["report/integrated/get"])
    with open_reader(host) as one:
        outcomes = refresh(one, store, host, CAMPAIGNS, AD_LIFETIME)
    (failed,) = [outcome for outcome in outcomes if isinstance(outcome, FailedPartitions)]
    assert not failed.is_not_offered


def test_creative_reports_are_requested_as_their_endpoint_takes_them() -> None:
    """Their filters are an object, their pages have a hundred rows, and a window has up to 365 days."""
    window = DateWindow(date(2025, 11, 10), date(2026, 11, 8))
    for part in CREATIVE_DAILY.queries:
        filters = {"adgroup_ids": ["7"]}
        query = build_report_query(
            part, "1", window, metrics=STANDARD_METRICS, requested=STANDARD_METRICS[:2], filters=filters
        )
        assert query.page_size == 100
        assert query.parameters["filtering"] == filters
        assert query.parameters["sort_field"] == "spend"
        assert not {"order_field", "data_level", "report_type", "query_lifetime"} & query.parameters.keys()
    assert CREATIVE_DAILY.window_days == len(window.days) + 1


def test_a_day_is_stored_only_with_all_its_parts() -> None:
    """A day whose texts could not be read is not stored with its materials alone."""
    account, window = Account("7001", "EUR", "UTC"), DateWindow(DAYS[0], DAYS[-1])
    request = ReportRequest(REPORTS_BY_TABLE[CREATIVE_DAILY.table], account, window)
    parts = split_into_parts(request)
    rows = pl.DataFrame({"date": DAYS, "element": ["main_material"] * len(DAYS)})
    response = ReportResponse(rows, datetime(2026, 11, 9, tzinfo=UTC), NO_REQUESTS)
    refused, error = DateWindow(DAYS[1], DAYS[1]), RequestError("no")
    outcomes = list(
        merge_parts(
            request, [(part, response) for part in parts[:3]] + [(replace(parts[3], window=refused), error)]
        )
    )
    assert [(one.window, type(outcome)) for one, outcome in outcomes] == [
        (refused, RequestError),
        (DateWindow(DAYS[0], DAYS[0]), ReportResponse),
        (DateWindow(DAYS[2], DAYS[-1]), ReportResponse),
    ]
    merged = outcomes[-1][1]
    assert isinstance(merged, ReportResponse)
    assert merged.frame.height == 3 * len(DAYS[2:])
    assert merged.frame.get_column("date").is_sorted()
