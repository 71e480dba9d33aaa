"""Laws of the tables that remember: histories and restatements are recorded with what they remember of."""

from datetime import date

import dagster as dg
import polars as pl

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets_tests.defs.conftest import DAILY, Desk, DeskMaker, keys_of

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
LISTED = ("campaigns", "ad_groups", "ads")


def test_a_history_is_recorded_beside_its_snapshot(desk: Desk) -> None:
    """Each account has one event of the snapshot and one of the history, with its rows and new versions."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    for table in LISTED:
        events = dict(desk.recorded(f"{table}_history"))
        assert sorted(events) == sorted(key for key, _ in desk.recorded(table)) == sorted(ids)
        assert sum(int(str(facts["rows"])) for facts in events.values()) == desk.table(f"{table}_history").height
        assert all(facts["new_versions"] == facts["rows"] for facts in events.values())
    desk.host.advance(days=1)
    assert desk.run_range("refresh_accounts", ids).success
    assert {facts["new_versions"] for _, facts in desk.recorded("ads_history")[: len(ids)]} == {0}


def test_either_of_the_two_makes_both(desk: Desk) -> None:
    """Asked for the history alone, or the snapshot alone, the step stores and records both."""
    ids = desk.know()
    for asked in ("ads_history", "ads"):
        desk.host.advance(hours=1)
        assert desk.run_range("refresh_accounts", ids, tables=[asked]).success
    for table in ("ads", "ads_history"):
        assert sorted(key for key, _ in desk.recorded(table)) == sorted(ids * 2)
    assert desk.keys("ads") == desk.keys("ads_history") == sorted(ids)


def test_a_lost_history_fails_its_account_alone(desk: Desk) -> None:
    """The step says which history is gone and how to mend it; the other accounts are stored and recorded."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    (desk.store.base / "ads_history" / f"advertiser_id={ids[0]}" / "part-0.parquet").unlink()
    desk.host.advance(days=1)
    result = desk.run_range("refresh_accounts", ids, tables=["ads"])
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    said = str(event.step_failure_data.user_failure_data.description)  # type: ignore[union-attr] # it has one
    assert ids[0] in said
    assert "restore it from a backup" in said
    assert sorted(key for key, _ in desk.recorded("ads")) == sorted([*ids, *ids[1:]])


def restated(desk: Desk) -> dict[tuple[str, date], int]:
    """How many readings of each day are told, all reports together."""
    rows = desk.table("report_restatements").group_by("advertiser_id", "date").len()
    return {(owner, day): count for owner, day, count in rows.iter_rows()}


def test_restatements_come_with_the_days(desk: Desk) -> None:
    """A daily refresh records each day of `report_restatements` once, with a row a report and reading."""
    ids = desk.know()
    for _ in range(2):
        assert desk.run_range("refresh_daily", ids, WINDOW).success
        desk.host.advance(days=1)
    assert restated(desk) == {(owner, day): 2 * len(DAILY) for owner in ids for day in WINDOW.days}
    assert sorted(key for key, _ in desk.recorded("report_restatements")) == sorted(keys_of(ids, WINDOW) * 2)
    rows = desk.table("report_restatements").filter(pl.col("previous_fetched_at").is_not_null())
    assert rows.get_column("rows_change").sum() == 0
    assert set(rows.get_column("report")) == set(DAILY)


def test_a_lost_account_takes_nobodys_restatements_away(desk: Desk) -> None:
    """Where one account fails the gathering step does not run; the days of the others are told and recorded."""
    ids = desk.know()
    desk.revoke(ids[1])
    result = desk.run_range("refresh_daily", ids, WINDOW)
    assert not result.success
    assert "report_restatements" not in {event.step_key for event in result.all_events if event.is_step_start}
    left = sorted(set(ids) - {ids[1]})
    assert restated(desk) == {(owner, day): len(DAILY) for owner in left for day in WINDOW.days}
    assert {key for key, _ in desk.recorded("report_restatements")} == set(keys_of(left, WINDOW))


def test_a_backfill_is_told_too(make_desk: DeskMaker) -> None:
    """The days a backfill reads have their first readings in the table, and an event each."""
    desk = make_desk(reports="ad_report_daily", start_date="2026-10-04")
    ids = desk.know()
    assert desk.run("backfill_history").success
    days = [day for owner, day in restated(desk) if owner == ids[0]]
    assert sorted(days) == [date(2026, 10, 4), date(2026, 10, 5), date(2026, 10, 6)]
    assert len(desk.recorded("report_restatements")) == len(desk.keys("ad_report_daily")) == len(restated(desk))


def test_the_tables_stand_in_the_graph(desk: Desk) -> None:
    """Histories follow the accounts as their snapshots do, restatements the daily reports."""
    specs = {spec.key.to_user_string(): spec for spec in desk.definitions.resolve_all_asset_specs()}
    for table in LISTED:
        assert specs[f"{table}_history"].deps == specs[table].deps
        assert specs[f"{table}_history"].kinds == specs[table].kinds
    assert {dep.asset_key for dep in specs["report_restatements"].deps} == {dg.AssetKey(table) for table in DAILY}
