"""Test that GMV Max is read where an account has a TikTok Shop, and costs one request a week elsewhere."""

import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tiktok_assets.api.client import RequestStats
from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.cli.plan import plan_refresh
from tiktok_assets.defs.checks import build_check_context
from tiktok_assets.defs.refresh_stages import RefreshStage
from tiktok_assets.ingest.gmv_max_shops import load_shop_ids
from tiktok_assets.overview.page import build_overview
from tiktok_assets.quality.check_catalog import evaluate_checks, select_checks
from tiktok_assets.spec.endpoints import GMV_MAX_REPORT, REPORT
from tiktok_assets.storage.parquet_store import Partition
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.defs.conftest import PLAN, Deployment, open_deployment

SHOP_LIST_PATH, REPORT_PATH = "gmv_max/store/list", "gmv_max/report/get"
CAMPAIGNS, PRODUCTS, POSTS = (
    "gmv_max_report_daily",
    "gmv_max_product_report_daily",
    "gmv_max_post_report_daily",
)
OTHERS = "campaign_report_daily,campaign_report_lifetime"
REPORTS = f"{OTHERS},{CAMPAIGNS},{PRODUCTS},{POSTS}"
STAGES: tuple[RefreshStage, ...] = ("refresh_accounts", "refresh_daily", "refresh_lifetime")


@pytest.fixture(scope="module")
def shop_host() -> Iterator[Host]:
    """Run two accounts, the first with a TikTok Shop, a TopView and a Promote campaign."""
    with Host.run(replace(PLAN, advertisers=2, gmv_max=True, hidden_campaigns=True)) as host:
        yield host


@pytest.fixture
def shop_deployment(shop_host: Host, tmp_path: Path) -> Iterator[Deployment]:
    """Open a deployment with the tables of GMV Max and few others, before its first refresh."""
    shop_host.reset()
    with open_deployment(shop_host, tmp_path, reports=REPORTS) as one:
        one.add_partitions()
        yield one
    shop_host.reset()


def refresh(deployment: Deployment) -> Counter[str]:
    """Run a whole refresh that must succeed, and return the number of requests by path."""
    deployment.host.sandbox.state.requests.clear()
    for stage in STAGES:
        assert all(result.success for result in deployment.refresh(stage))
    return Counter(one["path"].split("/v1.3/")[-1].strip("/") for one in deployment.host.requests)


def find_owner(deployment: Deployment) -> str:
    """Return the account that has the shop."""
    (owner,) = [one.id for one in deployment.host.sandbox.world.advertisers.values() if one.shops]
    return owner


def read_overview_costs(deployment: Deployment, window: DateWindow) -> dict[str, Decimal]:
    """Request the cost of all GMV Max campaigns of the account by day."""
    owner = find_owner(deployment)
    (store_id,) = load_shop_ids(deployment.store, owner)
    data = deployment.session.client.get(
        GMV_MAX_REPORT,
        {
            "advertiser_id": owner,
            "store_ids": [store_id],
            "start_date": str(window.first),
            "end_date": str(window.last),
            "dimensions": ["advertiser_id", "stat_time_day"],
            "metrics": ["cost"],
            "filtering": {"campaign_statuses": ["STATUS_ALL"]},
            "page": "1",
            "page_size": "1000",
        },
        RequestStats(),
    ).data
    return {row["dimensions"]["stat_time_day"][:10]: Decimal(row["metrics"]["cost"]) for row in data["list"]}


def failed_checks(deployment: Deployment, table: str) -> dict[str, str]:
    """Evaluate the checks of a table, and return the first reason of each that fails."""
    context = build_check_context(deployment.settings, deployment.session, days=30)
    checks = {one.name: one for one in select_checks(context.tables[table])}
    outcomes = evaluate_checks(context, table, checks).outcomes
    return {name: str(outcome.faults[0]) for name, outcome in outcomes.items() if not outcome.passed}


@pytest.mark.slow
def test_shops_are_requested_once_a_week_from_the_second_refresh(shop_deployment: Deployment) -> None:
    """The first refresh requests nothing of GMV Max; the shops of an account are requested once in seven days."""
    assert refresh(shop_deployment)[SHOP_LIST_PATH] == 0
    owners, asked = shop_deployment.advertiser_ids, []
    for _ in range(8):
        shop_deployment.host.advance(days=1)
        shop_deployment.host.sandbox.state.requests.clear()
        tables = ["advertisers", "gmv_max_shops"]
        assert shop_deployment.run_range("refresh_accounts", owners, None, tables).success
        asked.append(sum(SHOP_LIST_PATH in one["path"] for one in shop_deployment.host.requests))
    assert asked == [len(owners), 0, 0, 0, 0, 0, 0, len(owners)]


@pytest.mark.slow
def test_accounts_without_a_shop_cost_nothing(shop_deployment: Deployment) -> None:
    """An account without a shop has no report request, file or event of GMV Max, and no check expects one."""
    refresh(shop_deployment)
    shop_deployment.host.advance(days=1)
    refresh(shop_deployment)
    owner = find_owner(shop_deployment)
    for table in (CAMPAIGNS, PRODUCTS, POSTS):
        events = {key for key, _ in shop_deployment.materializations(table)}
        assert {key.partition("|")[0] for key in events} == {owner}
        assert events == set(shop_deployment.stored_keys(table))
        assert failed_checks(shop_deployment, table) == {}
    asked = [one for one in shop_deployment.host.requests if REPORT_PATH in one["path"]]
    assert {one["query"]["advertiser_id"] for one in asked} == {owner}


@pytest.mark.slow
def test_a_new_shop_gets_the_missing_days_like_any_table(shop_deployment: Deployment) -> None:
    """The refresh that finds a shop reads the lookback, the next the other days of the last thirty."""
    refresh(shop_deployment)
    shop_deployment.host.advance(days=1)
    refresh(shop_deployment)
    settings = shop_deployment.settings
    assert len(shop_deployment.stored_keys(CAMPAIGNS)) == settings.lookback_days + 1
    shop_deployment.host.advance(days=1)
    refresh(shop_deployment)
    owner = find_owner(shop_deployment)
    stored = [one for one in shop_deployment.stored_keys("campaign_report_daily") if one.startswith(owner)]
    assert shop_deployment.stored_keys(CAMPAIGNS) == stored


@pytest.mark.slow
def test_backfill_reads_only_the_account_with_a_shop(shop_deployment: Deployment) -> None:
    """`backfill_history` reads the days of GMV Max since the start date for the account that has a shop."""
    refresh(shop_deployment)
    shop_deployment.host.advance(days=1)
    assert shop_deployment.refresh("refresh_accounts")
    assert shop_deployment.run("backfill_history").success
    keys = shop_deployment.stored_keys(CAMPAIGNS)
    assert {key.partition("|")[0] for key in keys} == {find_owner(shop_deployment)}
    days = (shop_deployment.now.date() - shop_deployment.settings.start_date).days
    assert days - 1 <= len(keys) <= days


@pytest.fixture(scope="module")
def refreshed(shop_host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Refresh until every day of GMV Max is stored."""
    shop_host.reset()
    with open_deployment(shop_host, tmp_path_factory.mktemp("refreshed"), reports=REPORTS) as one:
        one.add_partitions()
        for _ in range(3):
            refresh(one)
            shop_host.advance(days=1)
        yield one


@pytest.fixture
def filled(refreshed: Deployment, tmp_path: Path) -> Iterator[Deployment]:
    """Return the refreshed deployment at its own time; its tables are put back after the test."""
    refreshed.host.reset()
    refreshed.host.advance(days=3)
    data = Path(refreshed.settings.data_dir)
    shutil.copytree(data, tmp_path / "saved")
    yield refreshed
    refreshed.host.reset()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "saved", data)


@pytest.mark.slow
def test_campaigns_sum_to_the_account(filled: Deployment) -> None:
    """Product and LIVE campaigns, the deleted one included, sum to TikTok's own total of each day, to the cent."""
    rows = filled.read_table(CAMPAIGNS)
    days = rows.get_column("date").unique().sort().to_list()
    costs = read_overview_costs(filled, DateWindow(days[0], days[-1]))
    sums = dict(rows.group_by("date").agg(pl.col("cost").sum()).iter_rows())
    assert {str(day): cost for day, cost in sums.items()} == {day: cost for day, cost in costs.items() if cost}
    assert set(rows.get_column("promotion_type")) == {"PRODUCT", "LIVE"}
    assert set(rows.get_column("currency")) == {"USD"}
    shops = filled.host.sandbox.world.advertisers[find_owner(filled)].shops
    created = {one.id for shop in shops for one in shop.campaigns}
    assert set(rows.get_column("campaign_id")) <= created


@pytest.mark.slow
def test_products_and_posts_sum_to_their_campaigns(filled: Deployment) -> None:
    """On complete days posts sum to products, and products to the Product GMV Max campaigns, to the cent."""
    by = ["date", "store_id", "campaign_id"]
    sums = [
        filled.read_table(table)
        .filter(pl.col("is_complete") & (pl.col("promotion_type") == "PRODUCT") & (pl.col("cost") > 0))
        .group_by(by)
        .agg(pl.col("cost").sum())
        .sort(by)
        for table in (CAMPAIGNS, PRODUCTS, POSTS)
    ]
    assert sums[0].height
    assert_frame_equal(sums[0], sums[1])
    assert_frame_equal(sums[1], sums[2])
    assert set(filled.read_table(PRODUCTS).get_column("currency")) == {"USD"}


@pytest.mark.slow
def test_rows_of_a_shop_that_is_no_longer_read_stay(filled: Deployment) -> None:
    """A reading replaces the rows of the shops it read; rows of another shop stay, and a repeat adds nothing."""
    key = filled.stored_keys(CAMPAIGNS)[-1]
    owner, _, day = key.partition("|")
    partition = next(one for one in filled.store.partitions(CAMPAIGNS, [owner]) if str(one.day) == day)
    before = filled.read_table(CAMPAIGNS).filter(pl.col("date") == partition.day)
    other = before.with_columns(store_id=pl.lit("1"))
    metadata = filled.store.read_metadata(CAMPAIGNS, partition)
    filled.store.write(CAMPAIGNS, partition, pl.concat([before, other]), metadata=metadata)
    assert partition.day
    for _ in range(2):
        window = DateWindow(partition.day, partition.day)
        assert filled.run_range("refresh_daily", [owner], window, [CAMPAIGNS]).success
        after = filled.read_table(CAMPAIGNS).filter(pl.col("date") == partition.day)
        assert_frame_equal(after.filter(pl.col("store_id") == "1"), other)
        assert after.height == 2 * before.height


def test_plan_counts_what_is_sent(filled: Deployment) -> None:
    """The plan of the campaigns' table has as many requests as reading it sends, and none without a shop."""
    window = DateWindow(filled.settings.start_date, filled.settings.start_date + timedelta(2))
    owner = find_owner(filled)
    others = [one for one in filled.advertiser_ids if one != owner]
    lines = plan_refresh(filled.session, others, window, [CAMPAIGNS]).lines
    assert [line for line in lines if line.subject == CAMPAIGNS] == []
    lines = plan_refresh(filled.session, [owner], window, [CAMPAIGNS]).lines
    filled.host.sandbox.state.requests.clear()
    assert filled.run_range("refresh_daily", [owner], window, [CAMPAIGNS]).success
    assert [line.requests for line in lines if line.subject == CAMPAIGNS] == [len(filled.host.requests)]


def test_selecting_the_shops_alone_requests_them_at_once(filled: Deployment) -> None:
    """A run with `gmv_max_shops` alone requests the shops of its accounts, however young the stored list is."""
    filled.host.sandbox.state.requests.clear()
    owners = filled.advertiser_ids[:2]
    assert filled.run_range("refresh_accounts", owners, None, ["gmv_max_shops"]).success
    assert [one["path"].split("/v1.3/")[-1].strip("/") for one in filled.host.requests] == [SHOP_LIST_PATH] * 2


def read_gmv_max_spend(deployment: Deployment, owner: str, window: DateWindow) -> str:
    """Request what GMV Max spent from the reports."""
    data = deployment.session.client.get(
        REPORT,
        {
            "advertiser_id": owner,
            "report_type": "TT_SHOP",
            "data_level": "AUCTION_ADVERTISER",
            "dimensions": ["advertiser_id"],
            "metrics": ["spend"],
            "start_date": str(window.first),
            "end_date": str(window.last),
        },
        RequestStats(),
    ).data
    rows = decode_rows(data["list"])
    assert isinstance(rows, list)
    return f"{Decimal(rows[0]['metrics']['spend']):,.2f} USD"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scopes", "reports", "why"),
    [
        (["gmv_max"], f"{OTHERS},{CAMPAIGNS}", "the token lacks the permission for gmv_max/store/list/"),
        ([], OTHERS, "TIKTOK_REPORTS leaves out gmv_max_report_daily"),
    ],
)
def test_spend_that_is_not_read_is_said_in_money(
    shop_host: Host, tmp_path: Path, scopes: list[str], reports: str, why: str
) -> None:
    """Without permission or table, a check and the page state what GMV Max spent and why no table holds it."""
    shop_host.reset()
    with open_deployment(shop_host, tmp_path, reports=reports) as deployment:
        deployment.add_partitions()
        refresh(deployment)
        shop_host.advance(days=1)
        shop_host.control("POST", "switches", no_scope_for=scopes)
        refresh(deployment)
        owner = find_owner(deployment)
        yesterday = deployment.now.date() - timedelta(1)  # 12:30 UTC: the same day in Los Angeles
        amount = read_gmv_max_spend(deployment, owner, DateWindow(yesterday - timedelta(29), yesterday))
        failed = failed_checks(deployment, "gmv_max_shops")
        assert failed.keys() == {"gmv_max_spend_is_read"}
        page = build_overview(deployment.store, deployment.settings.state_dir, deployment.now)
        shown = Path(page.path).read_text(encoding="utf-8")
        for text in (failed["gmv_max_spend_is_read"], shown):
            assert amount in text
            assert why in text
        # Once on top of the page, and once beside the account.
        assert shown.count("GMV Max (TikTok Shop) spent") == 2
    shop_host.reset()


def test_a_refusal_keeps_the_known_shops(filled: Deployment) -> None:
    """If TikTok refuses the list after the shops were known, they stay and their reports are still expected."""
    owner = find_owner(filled)
    known = load_shop_ids(filled.store, owner)
    filled.host.control("POST", "switches", no_scope_for=["gmv_max"])
    assert filled.run_range("refresh_accounts", [owner], None, ["gmv_max_shops"]).success
    assert load_shop_ids(filled.store, owner) == known != []
    # The refused report is a warning, and the other tables are refreshed.
    window = DateWindow(filled.settings.start_date, filled.settings.start_date)
    result = filled.run_range("refresh_daily", [owner], window, [CAMPAIGNS, "campaign_report_daily"])
    assert result.success


@pytest.mark.slow
def test_campaigns_that_reports_leave_out_are_named(filled: Deployment) -> None:
    """TopView and Promote campaigns are named by a check and the page; campaigns with a report are not."""
    fault = failed_checks(filled, "campaigns")["campaigns_are_in_reports"]
    page = build_overview(filled.store, filled.settings.state_dir, filled.now)
    shown = Path(page.path).read_text(encoding="utf-8")
    assert "Promote" in fault
    for name in ("TopView | Launch day", "Promote"):
        assert name in shown
    assert shown.count("Not in these figures:") == 2
    others = filled.read_table("campaign_report_lifetime").get_column("campaign_name").unique()
    sentences = [line for line in shown.splitlines() if "Not in these figures:" in line]
    assert not any(name in sentence for name in others for sentence in sentences)


def test_a_reading_is_recorded_for_restatements(filled: Deployment) -> None:
    """Each reading of a day of GMV Max is in `report_restatements`, with its cost as spend."""
    rows = filled.read_table("report_restatements").filter(pl.col("report") == CAMPAIGNS)
    last = rows.sort("fetched_at").group_by("date").last()
    costs = dict(filled.read_table(CAMPAIGNS).group_by("date").agg(pl.col("cost").sum()).iter_rows())
    spend = dict(last.select("date", "spend_after").iter_rows())
    assert {day: value for day, value in spend.items() if value} == costs
    assert rows.filter(pl.col("previous_fetched_at").is_not_null()).height


def test_shops_of_another_account_are_not_read(filled: Deployment) -> None:
    """Only a shop that is available and not another account's is read."""
    owner = find_owner(filled)
    partition = Partition(owner)
    shops = filled.read_table("gmv_max_shops").filter(pl.col("advertiser_id") == owner)
    other = shops.with_columns(exclusive_authorized_advertiser_info=pl.lit('{"advertiser_id": "1"}'))
    filled.store.write("gmv_max_shops", partition, other)
    assert load_shop_ids(filled.store, owner) == []
    nobodys = shops.with_columns(exclusive_authorized_advertiser_info=pl.lit(None, pl.String))
    filled.store.write("gmv_max_shops", partition, nobodys)
    assert load_shop_ids(filled.store, owner) == load_available(nobodys)


def load_available(shops: pl.DataFrame) -> list[str]:
    """Return the shops that are available for GMV Max."""
    return sorted(shops.filter(pl.col("is_gmv_max_available")).get_column("store_id"))
