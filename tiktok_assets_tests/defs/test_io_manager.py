"""Laws of the IO manager: an asset of yours reads and writes exactly the partitions its run concerns."""

from collections.abc import Callable
from datetime import date

import dagster as dg
import polars as pl

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.partitions import ADVERTISERS, SINGLE_RUN, advertiser_days
from tiktok_assets.defs.resources import IO_MANAGER, HiveParquetIOManager
from tiktok_assets_tests.defs.conftest import Desk, keys_of

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
FROM_STORE = dg.AssetIn(input_manager_key=IO_MANAGER)
MINE = pl.Schema({"advertiser_id": pl.String, "date": pl.Date, "clicks": pl.Int64})


def beside(desk: Desk, asset: dg.AssetsDefinition) -> Desk:
    """The same desk with an asset of the user's own and a job `mine` for it."""
    manager = HiveParquetIOManager(desk.store, {"mine": MINE})
    own = dg.Definitions(
        assets=[asset], jobs=[dg.define_asset_job("mine", selection=["mine"])], resources={"mine_store": manager}
    )
    merged = dg.Definitions.merge(desk.definitions, own)
    return Desk(desk.host, desk.settings, desk.session, merged, desk.instance)


def stored(desk: Desk) -> list[str]:
    """Three days of all accounts but the first; returns all accounts."""
    ids = desk.know()
    assert desk.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"]).success
    return ids


def keys_in(frame: pl.DataFrame) -> list[str]:
    """The keys of the partitions whose rows a frame has."""
    return sorted({f"{owner}|{day}" for owner, day in frame.select("advertiser_id", "date").rows()})


def test_an_asset_by_account_gets_all_days_of_its_account(desk: Desk) -> None:
    """A lazy frame of a daily table holds every stored day of the account, and no other account's."""
    ids = stored(desk)
    seen: list[pl.DataFrame] = []

    @dg.asset(partitions_def=ADVERTISERS, ins={"ad_report_daily": FROM_STORE})
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    assert beside(desk, mine).run("mine", {"dagster/partition": ids[1]}).success
    (frame,) = seen
    assert keys_in(frame) == keys_of([ids[1]], WINDOW)
    assert frame.equals(desk.table("ad_report_daily").filter(advertiser_id=ids[1]))


def test_an_asset_by_account_and_day_gets_its_keys_only(desk: Desk) -> None:
    """In a range run the frame holds the accounts and days of the run."""
    ids = stored(desk)
    seen: list[pl.DataFrame] = []

    @dg.asset(
        partitions_def=advertiser_days(desk.settings.start_date),
        backfill_policy=SINGLE_RUN,
        ins={"ad_report_daily": FROM_STORE},
    )
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    window = DateWindow(date(2026, 10, 3), date(2026, 10, 4))
    assert beside(desk, mine).run_range("mine", ids[1:3], window).success
    assert keys_in(seen[0]) == keys_of(ids[1:3], window)


def test_an_asset_without_partitions_gets_the_whole_table(desk: Desk) -> None:
    """Where the reader has no partitions it reads every one that stands."""
    stored(desk)
    seen: list[pl.DataFrame] = []

    @dg.asset(ins={"ad_report_daily": FROM_STORE})
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    assert beside(desk, mine).run("mine").success
    assert seen[0].equals(desk.table("ad_report_daily"))


def test_a_table_nobody_filled_is_a_frame_without_rows(desk: Desk) -> None:
    """Reading before the first refresh gives the declared columns and nothing else."""
    ids = desk.know()
    seen: list[pl.DataFrame] = []

    @dg.asset(partitions_def=ADVERTISERS, ins={"ad_report_daily": FROM_STORE})
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    assert beside(desk, mine).run("mine", {"dagster/partition": ids[1]}).success
    assert seen[0].is_empty()
    assert {"advertiser_id", "ad_id", "date", "spend"} <= set(seen[0].columns)


def writing(desk: Desk, make: Callable[[dg.AssetExecutionContext], pl.DataFrame]) -> dg.AssetsDefinition:
    """An asset by account and day that returns what `make` makes."""

    @dg.asset(
        partitions_def=advertiser_days(desk.settings.start_date),
        backfill_policy=SINGLE_RUN,
        io_manager_key="mine_store",
    )
    def mine(context: dg.AssetExecutionContext) -> pl.DataFrame:
        return make(context)

    return mine


def _frame(keys: list[str]) -> pl.DataFrame:
    owners, days = zip(*(key.split("|") for key in keys), strict=True)
    return pl.DataFrame(
        {"advertiser_id": owners, "date": [date.fromisoformat(day) for day in days], "clicks": range(len(keys))},
        schema=MINE,
    )


def _mine(desk: Desk) -> pl.DataFrame:
    return desk.store.scan("mine", MINE).collect()


def test_a_returned_frame_is_split_into_its_partitions(desk: Desk) -> None:
    """Each key of the run becomes a file of its own rows; one without rows becomes a file without rows."""
    ids = desk.know()
    keys = keys_of(ids[:2], WINDOW)
    with_rows = keys[:2] + keys[3:]
    merged = beside(desk, writing(desk, lambda _: _frame(with_rows)))
    assert merged.run_range("mine", ids[:2], WINDOW).success
    assert desk.keys("mine") == keys
    assert _mine(desk).equals(_frame(with_rows))
    assert sorted(key for key, _ in desk.recorded("mine")) == keys


def test_rows_of_another_partition_are_refused_and_nothing_is_written(desk: Desk) -> None:
    """A frame with one row of a day that is not of the run fails the step; what stood before stands."""
    ids = desk.know()
    keys = keys_of(ids[:2], WINDOW)
    assert beside(desk, writing(desk, lambda _: _frame(keys))).run_range("mine", ids[:2], WINDOW).success
    before = {key: desk.bytes_of("mine", key) for key in keys}
    foreign = _frame([*keys[:2], f"{ids[0]}|2026-10-05"])
    result = beside(desk, writing(desk, lambda _: foreign)).run_range("mine", ids[:2], WINDOW)
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    assert "nothing was written" in str(event.step_failure_data.error)
    assert {key: desk.bytes_of("mine", key) for key in desk.keys("mine")} == before
    assert len(desk.recorded("mine")) == len(keys)


def test_rows_that_name_no_partition_are_refused(desk: Desk) -> None:
    """A row whose account or day is null belongs nowhere, so it fails the step too."""
    ids = desk.know()
    nameless = _frame([f"{ids[0]}|2026-10-02"]).with_columns(date=pl.lit(None, pl.Date))
    result = beside(desk, writing(desk, lambda _: nameless)).run_range("mine", ids[:1], WINDOW)
    assert not result.success
    assert desk.keys("mine") == []


def test_a_table_without_partitions_is_one_file(desk: Desk) -> None:
    """An asset without partitions replaces its whole table and its event says how many rows."""

    @dg.asset(io_manager_key="mine_store")
    def mine() -> pl.DataFrame:
        return _frame(["7001|2026-10-02", "7002|2026-10-02"])

    assert beside(desk, mine).run("mine").success
    assert _mine(desk).height == 2
    ((_, facts),) = desk.recorded("mine")
    assert facts["rows"] == facts["dagster/row_count"] == 2
