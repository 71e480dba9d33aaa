"""Test that the IO manager reads and writes exactly the partitions of the run."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import cast

import dagster as dg
import duckdb
import polars as pl
import pytest
from upath import UPath

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.names import IO_MANAGER, Names
from tiktok_assets.defs.partitions import ADVERTISERS, SINGLE_RUN, advertiser_days
from tiktok_assets.defs.resources import HiveParquetIOManager
from tiktok_assets_tests.defs.conftest import Deployment, format_keys
from tiktok_assets_tests.end_to_end.test_documents import find_code_blocks

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
FROM_STORE = dg.AssetIn(input_manager_key=IO_MANAGER)
MINE = pl.Schema({"advertiser_id": pl.String, "date": pl.Date, "clicks": pl.Int64})


def with_asset(deployment: Deployment, asset: dg.AssetsDefinition) -> Deployment:
    """Return the deployment with an asset of the user's own and a job `mine` for it."""
    manager = HiveParquetIOManager(deployment.store, {"mine": MINE}, Names(deployment.settings))
    own = dg.Definitions(
        assets=[asset], jobs=[dg.define_asset_job("mine", selection=["mine"])], resources={"mine_store": manager}
    )
    merged = dg.Definitions.merge(deployment.definitions, own)
    return Deployment(deployment.host, deployment.settings, deployment.session, merged, deployment.instance)


def store_three_days(deployment: Deployment) -> list[str]:
    """Store three days of all accounts but the first, and return all accounts."""
    ids = deployment.add_partitions()
    assert deployment.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"]).success
    return ids


def keys_of_rows(frame: pl.DataFrame) -> list[str]:
    """Return the partition keys of the rows of a frame."""
    return sorted({f"{owner}|{day}" for owner, day in frame.select("advertiser_id", "date").rows()})


def test_asset_by_account_gets_all_days_of_its_account(deployment: Deployment) -> None:
    """The frame of a daily table holds every stored day of the account, and of no other account."""
    ids = store_three_days(deployment)
    seen: list[pl.DataFrame] = []

    @dg.asset(partitions_def=ADVERTISERS, ins={"ad_report_daily": FROM_STORE})
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    assert with_asset(deployment, mine).run("mine", {"dagster/partition": ids[1]}).success
    (frame,) = seen
    assert keys_of_rows(frame) == format_keys([ids[1]], WINDOW)
    assert frame.equals(deployment.read_table("ad_report_daily").filter(advertiser_id=ids[1]))


def test_asset_by_account_and_day_gets_only_its_keys(deployment: Deployment) -> None:
    """In a range run the frame holds the accounts and days of the run."""
    ids = store_three_days(deployment)
    seen: list[pl.DataFrame] = []

    @dg.asset(
        partitions_def=advertiser_days(deployment.settings.start_date),
        backfill_policy=SINGLE_RUN,
        ins={"ad_report_daily": FROM_STORE},
    )
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    window = DateWindow(date(2026, 10, 3), date(2026, 10, 4))
    assert with_asset(deployment, mine).run_range("mine", ids[1:3], window).success
    assert keys_of_rows(seen[0]) == format_keys(ids[1:3], window)


@pytest.mark.slow
def test_annotation_chooses_what_is_loaded(deployment: Deployment) -> None:
    """An input is loaded as a frame, a relation of DuckDB or the paths of the files, as it is annotated."""
    ids = store_three_days(deployment)
    seen: dict[str, object] = {}

    def build(name: str, kind: object) -> dg.AssetsDefinition:
        def load(ad_report_daily: object) -> None:
            if isinstance(ad_report_daily, duckdb.DuckDBPyRelation):
                totals = [ad_report_daily.aggregate("count(*), sum(spend)").fetchall() for _ in range(2)]
                seen[name] = (totals, ad_report_daily.project("date, spend").fetchall())
            else:
                seen[name] = ad_report_daily

        load.__annotations__["ad_report_daily"] = kind
        return dg.asset(name=name, partitions_def=ADVERTISERS, ins={"ad_report_daily": FROM_STORE})(load)

    kinds = {
        "frame": pl.DataFrame,
        "relation": duckdb.DuckDBPyRelation,
        "texts": list[str],
        "paths": list[UPath],
        "plain": object,
    }
    own = dg.Definitions(assets=[build(name, kind) for name, kind in kinds.items()])
    merged = dg.Definitions.merge(deployment.definitions, own)
    for name in kinds:
        job = merged.resolve_implicit_job_def_def_for_assets([dg.AssetKey(name)])
        assert job
        assert job.execute_in_process(
            instance=deployment.instance, partition_key=ids[1], asset_selection=[dg.AssetKey(name)]
        ).success
    expected = deployment.read_table("ad_report_daily").filter(advertiser_id=ids[1])
    assert expected.equals(cast("pl.DataFrame", seen["frame"]))
    totals, rows = cast("tuple[object, object]", seen["relation"])
    assert totals == [[(expected.height, expected.get_column("spend").sum())]] * 2  # exact, and can be read again
    assert rows == expected.select("date", "spend").rows()
    texts = cast("list[str]", seen["texts"])
    assert pl.read_parquet(texts).equals(expected)
    assert seen["paths"] == [UPath(text) for text in texts]
    assert isinstance(seen["plain"], pl.LazyFrame)


def test_example_with_a_relation_runs(deployment: Deployment) -> None:
    """The asset of docs/own_project.md that takes a relation sums the stored table by currency."""
    store_three_days(deployment)
    page = (Path(__file__).parents[2] / "docs/own_project.md").read_text(encoding="utf-8")
    (code,) = [body for body in find_code_blocks(page, "python") if "DuckDBPyRelation" in body]
    defined: dict[str, dg.AssetsDefinition] = {}
    exec(compile(code, "docs/own_project.md", "exec"), defined)  # noqa: S102 - our own page
    merged = dg.Definitions.merge(deployment.definitions, dg.Definitions(assets=[defined["spend_by_currency"]]))
    keys = [dg.AssetKey("spend_by_currency")]
    job = merged.resolve_implicit_job_def_def_for_assets(keys)
    assert job
    result = job.execute_in_process(instance=deployment.instance, asset_selection=keys)
    (event,) = result.asset_materializations_for_node("spend_by_currency")
    stored = deployment.read_table("ad_report_daily")
    totals = dict(stored.group_by("currency").agg(pl.col("spend").sum()).rows())
    assert {name: value.value for name, value in event.metadata.items()} == {
        currency: str(spend) for currency, spend in totals.items()
    }


@pytest.mark.slow
def test_asset_without_partitions_gets_the_whole_table(deployment: Deployment) -> None:
    """An asset without partitions reads every stored partition."""
    store_three_days(deployment)
    seen: list[pl.DataFrame] = []

    @dg.asset(ins={"ad_report_daily": FROM_STORE})
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    assert with_asset(deployment, mine).run("mine").success
    assert seen[0].equals(deployment.read_table("ad_report_daily"))


def test_unfilled_table_is_an_empty_frame(deployment: Deployment) -> None:
    """Before the first refresh a table has its declared columns and no rows."""
    ids = deployment.add_partitions()
    seen: list[pl.DataFrame] = []

    @dg.asset(partitions_def=ADVERTISERS, ins={"ad_report_daily": FROM_STORE})
    def mine(ad_report_daily: pl.LazyFrame) -> None:
        seen.append(ad_report_daily.collect())

    assert with_asset(deployment, mine).run("mine", {"dagster/partition": ids[1]}).success
    assert seen[0].is_empty()
    assert {"advertiser_id", "ad_id", "date", "spend"} <= set(seen[0].columns)


def build_writing_asset(
    deployment: Deployment, make: Callable[[dg.AssetExecutionContext], pl.DataFrame]
) -> dg.AssetsDefinition:
    """Build an asset by account and day that returns the frame of `make`."""

    @dg.asset(
        partitions_def=advertiser_days(deployment.settings.start_date),
        backfill_policy=SINGLE_RUN,
        io_manager_key="mine_store",
    )
    def mine(context: dg.AssetExecutionContext) -> pl.DataFrame:
        return make(context)

    return mine


def build_frame(keys: list[str]) -> pl.DataFrame:
    """Build a frame with one row per key."""
    owners, days = zip(*(key.split("|") for key in keys), strict=True)
    return pl.DataFrame(
        {"advertiser_id": owners, "date": [date.fromisoformat(day) for day in days], "clicks": range(len(keys))},
        schema=MINE,
    )


def read_mine(deployment: Deployment) -> pl.DataFrame:
    """Read the table of the user's own asset."""
    return deployment.store.scan("mine", MINE).collect()


def test_returned_frame_is_split_into_partitions(deployment: Deployment) -> None:
    """Each key of the run gets a file of its rows; a key without rows gets a file without rows."""
    ids = deployment.add_partitions()
    keys = format_keys(ids[:2], WINDOW)
    with_rows = keys[:2] + keys[3:]
    merged = with_asset(deployment, build_writing_asset(deployment, lambda _: build_frame(with_rows)))
    assert merged.run_range("mine", ids[:2], WINDOW).success
    assert deployment.stored_keys("mine") == keys
    assert read_mine(deployment).equals(build_frame(with_rows))
    assert sorted(key for key, _ in deployment.materializations("mine")) == keys


def test_foreign_rows_are_refused_and_nothing_is_written(deployment: Deployment) -> None:
    """A frame with a row of another day fails the step, and the stored files are unchanged."""
    ids = deployment.add_partitions()
    keys = format_keys(ids[:2], WINDOW)
    assert (
        with_asset(deployment, build_writing_asset(deployment, lambda _: build_frame(keys)))
        .run_range("mine", ids[:2], WINDOW)
        .success
    )
    before = {key: deployment.read_bytes("mine", key) for key in keys}
    foreign = build_frame([*keys[:2], f"{ids[0]}|2026-10-05"])
    result = with_asset(deployment, build_writing_asset(deployment, lambda _: foreign)).run_range(
        "mine", ids[:2], WINDOW
    )
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    assert "nothing was written" in str(event.step_failure_data.error)
    assert {key: deployment.read_bytes("mine", key) for key in deployment.stored_keys("mine")} == before
    assert len(deployment.materializations("mine")) == len(keys)


def test_rows_without_a_partition_are_refused(deployment: Deployment) -> None:
    """A row whose account or day is null fails the step."""
    ids = deployment.add_partitions()
    nameless = build_frame([f"{ids[0]}|2026-10-02"]).with_columns(date=pl.lit(None, pl.Date))
    result = with_asset(deployment, build_writing_asset(deployment, lambda _: nameless)).run_range(
        "mine", ids[:1], WINDOW
    )
    assert not result.success
    assert deployment.stored_keys("mine") == []


def test_table_without_partitions_is_one_file(deployment: Deployment) -> None:
    """An asset without partitions replaces its whole table, and its materialization has the row count."""

    @dg.asset(io_manager_key="mine_store")
    def mine() -> pl.DataFrame:
        return build_frame(["7001|2026-10-02", "7002|2026-10-02"])

    assert with_asset(deployment, mine).run("mine").success
    assert read_mine(deployment).height == 2
    ((_, metadata),) = deployment.materializations("mine")
    assert metadata["rows"] == metadata["dagster/row_count"] == 2
