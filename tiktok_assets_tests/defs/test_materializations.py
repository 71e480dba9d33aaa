"""Laws of streaming runs: one event a partition with its own figures, whatever becomes of the others."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.defs.partitions import SINGLE_RUN, advertiser_days, parse_partition_key
from tiktok_assets_tests.defs.conftest import DAILY, LIFETIME, Desk, failure_in, keys_of, true_spend

WINDOW = DateWindow(date(2026, 10, 2), date(2026, 10, 4))
LEVELS = {table: table.removesuffix("_report_daily") for table in DAILY}
FACTS = {"rows", "requests", "pages", "retries", "seconds", "megabytes", "fetched_at"}


def spend_in(facts: Mapping[str, object]) -> object:
    """The spend an event tells of, in its own currency and under its own name."""
    (told,) = [name for name in facts if name.startswith("spend_") and name != "spend_by_day"]
    assert told == f"spend_{facts['currency']}"
    return facts[told]


def test_a_range_run_records_each_partition_once_with_its_own_figures(desk: Desk) -> None:
    """Each account and day of a range is one event, whose rows and spend are that day's and nobody else's."""
    ids = desk.know()
    result = desk.run_range("refresh_daily", ids, WINDOW)
    assert result.success
    for table, level in LEVELS.items():
        events = desk.recorded(table)
        assert sorted(key for key, _ in events) == keys_of(ids, WINDOW)
        for key, facts in events:
            assert facts.keys() >= FACTS | {"window", "currency", "dagster/partition_row_count"}
            owner, day = key.split("|")
            rows, spend = true_spend(desk, level, owner, date.fromisoformat(day))
            assert (facts["rows"], spend_in(facts)) == (rows, pytest.approx(float(spend)))
            assert facts["dagster/partition_row_count"] == rows
            assert facts["window"] == "2026-10-02..2026-10-04"
            assert facts["currency"] == desk.host.sandbox.world.advertisers[owner].account.currency
            assert facts["fetched_at"] == pytest.approx(desk.now.timestamp(), abs=60)
    spends = {spend_in(facts) for _, facts in desk.recorded("ad_report_daily")}
    assert len(spends) > len(WINDOW.days)  # or one figure was copied to all


def test_the_stored_rows_are_those_the_events_tell(desk: Desk) -> None:
    """What stands in a partition has the rows and the spend its event names, exactly; empty ones stand too."""
    ids = desk.know()
    assert desk.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"]).success
    table = desk.table("ad_report_daily")
    assert desk.keys("ad_report_daily") == keys_of(ids, WINDOW)
    for key, facts in desk.recorded("ad_report_daily"):
        partition = parse_partition_key(key)
        mine = table.filter(advertiser_id=partition.advertiser_id, date=partition.day)
        assert mine.height == facts["rows"]
        assert sum(mine.get_column("spend"), Decimal(0)) == pytest.approx(Decimal(str(spend_in(facts))))
    empty = {key.split("|")[0] for key, facts in desk.recorded("ad_report_daily") if facts["rows"] == 0}
    assert len(empty) == 1


def test_a_run_of_one_partition_records_it_once(desk: Desk) -> None:
    """A single key, as a click launches it, is one event with its figures in every table."""
    (first, *_) = desk.know()
    key = f"{first}|2026-10-03"
    assert desk.run("refresh_daily", {"dagster/partition": key}).success
    assert desk.run("refresh_lifetime", {"dagster/partition": first}).success
    assert desk.run("refresh_accounts", {"dagster/partition": first}, ["campaigns", "ad_groups", "ads"]).success
    for table in DAILY:
        ((recorded, facts),) = desk.recorded(table)
        assert recorded == key
        assert facts.keys() >= FACTS | {"window", "currency", f"spend_{facts['currency']}"}
        assert facts["window"] == "2026-10-03..2026-10-03"
    for table in (*LIFETIME, "campaigns", "ad_groups", "ads"):
        ((recorded, facts),) = desk.recorded(table)
        assert recorded == first
        assert facts.keys() >= FACTS
        assert ("currency" in facts) == (table in LIFETIME)
        assert "window" not in facts


def test_the_accounts_stage_records_each_account_once(desk: Desk) -> None:
    """The table of accounts is one event, each listed table one event an account, all in one run."""
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids).success
    ((_, facts),) = desk.recorded("advertisers")
    assert facts["rows"] == facts["dagster/row_count"] == len(ids)
    for table in ("campaigns", "ad_groups", "ads"):
        assert Counter(key for key, _ in desk.recorded(table)) == Counter(ids)


def test_events_carry_the_tags_dagster_gives_a_key_of_two_dimensions(desk: Desk) -> None:
    """Each event can be found by its account and by its day, as one that Dagster recorded itself."""
    ids = desk.know()
    assert desk.run_range("refresh_daily", ids[:1], WINDOW, ["ad_report_daily"]).success
    records = desk.instance.fetch_materializations(dg.AssetKey("ad_report_daily"), limit=10).records
    assert sorted(str(record.partition_key) for record in records) == keys_of(ids[:1], WINDOW)
    for record in records:
        assert record.asset_materialization
        owner, day = str(record.partition_key).split("|")
        tags = record.asset_materialization.tags or {}
        assert tags["dagster/partition/advertiser_id"] == owner
        assert tags["dagster/partition/date"] == day


def test_dagster_counts_what_was_streamed_as_materialized(desk: Desk) -> None:
    """The instance takes exactly the range's keys for materialized, as the Partitions page shows them."""
    ids = desk.know()
    assert desk.run_range("refresh_daily", ids[:2], WINDOW, ["ad_report_daily"]).success
    held = desk.instance.get_materialized_partitions(dg.AssetKey("ad_report_daily"))
    assert sorted(held) == keys_of(ids[:2], WINDOW)


def test_no_page_has_to_count_what_a_run_has_counted(desk: Desk) -> None:
    """Before anybody looked, Dagster has noted exactly the keys of each daily table that landed."""
    ids = desk.know()
    assert desk.run_range("refresh_daily", ids[:2], WINDOW).success
    assert desk.run_range("refresh_daily", ids[1:3], WINDOW).success
    for table in DAILY:
        (told,) = desk.instance.get_asset_records([dg.AssetKey(table)])
        assert told.asset_entry.cached_status
        days = advertiser_days(desk.settings.start_date)
        held = told.asset_entry.cached_status.deserialize_materialized_partition_subsets(days)
        assert sorted(held.get_partition_keys()) == keys_of(ids[:3], WINDOW)


def test_what_depends_on_a_streaming_asset_runs_after_it_in_the_same_run(desk: Desk) -> None:
    """An asset selected together with the streaming one it depends on is executed, not skipped."""
    ids = desk.know()
    seen: list[list[str]] = []

    @dg.asset(
        partitions_def=advertiser_days(desk.settings.start_date),
        backfill_policy=SINGLE_RUN,
        deps=["ad_report_daily"],
    )
    def mine(context: dg.AssetExecutionContext) -> None:
        seen.append(sorted(context.partition_keys))

    mine_too = dg.Definitions(
        assets=[mine], jobs=[dg.define_asset_job("with_mine", selection=["ad_report_daily", "mine"])]
    )
    merged = Desk(
        desk.host, desk.settings, desk.session, dg.Definitions.merge(desk.definitions, mine_too), desk.instance
    )
    result = merged.run_range("with_mine", ids, WINDOW)
    assert result.success
    assert [event.step_key for event in result.all_events if event.is_step_skipped] == []
    assert seen == [keys_of(ids, WINDOW)]


def test_the_ranking_runs_in_the_same_run_as_its_streaming_sources(desk: Desk) -> None:
    """Lifetime reports and ranking in one run give the ranking of what that run has stored."""
    ids = desk.know()
    both = dg.Definitions(jobs=[dg.define_asset_job("all_of_it", selection=[*LIFETIME, "top_spenders"])])
    merged = Desk(
        desk.host, desk.settings, desk.session, dg.Definitions.merge(desk.definitions, both), desk.instance
    )
    assert merged.run_range("all_of_it", ids).success
    assert sorted(key for key, _ in desk.recorded("top_spenders")) == sorted(ids)
    assert desk.table("top_spenders").height == 3


def test_a_lost_account_in_the_middle_fails_alone(desk: Desk) -> None:
    """The others are stored and recorded, the lost one is named with its mend, and what stood before stands."""
    ids = desk.know()
    first, lost, *others = ids
    assert desk.run_range("refresh_accounts", ids).success
    assert desk.run_range("refresh_daily", [lost], WINDOW).success
    before = {key: desk.bytes_of("ad_report_daily", key) for key in keys_of([lost], WINDOW)}
    desk.revoke(lost)
    result = desk.run_range("refresh_daily", ids, WINDOW)
    assert not result.success
    for table in DAILY:
        said = failure_in(result, table)
        assert said.startswith("3 of 12 partitions failed: ")
        assert lost in said
        assert "Grant the account to the app again" in said
        assert not any(other in said for other in (first, *others))
        # The lost one's are those from when it was granted: one more would be one too many.
        assert Counter(key for key, _ in desk.recorded(table)) == Counter(keys_of(ids, WINDOW))
        assert desk.keys(table) == keys_of(ids, WINDOW)
    assert {key: desk.bytes_of("ad_report_daily", key) for key in before} == before


def test_a_lost_account_fails_alone_in_the_other_stages_too(desk: Desk) -> None:
    """Hierarchy and lifetime reports of the others land; every step of the lost one says its name."""
    ids = desk.know()
    lost = ids[1]
    desk.revoke(lost)
    desk.run_range("refresh_accounts", ids, tables=["campaigns", "ad_groups", "ads"])
    assert desk.keys("campaigns") == sorted(set(ids) - {lost})
    result = desk.run_range("refresh_lifetime", ids)
    assert not result.success
    for table in LIFETIME:
        assert lost in failure_in(result, table)
        assert sorted(key for key, _ in desk.recorded(table)) == sorted(set(ids) - {lost})


def test_no_secret_is_kept_or_shown(
    lasting_desk: Desk, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """After runs that succeeded, failed in part and failed at once, no file and no output holds a secret."""
    desk = lasting_desk
    ids = desk.know()
    assert desk.run_range("refresh_accounts", ids[:2]).success
    desk.revoke(ids[1])
    assert not desk.run_range("refresh_daily", ids[:2], WINDOW).success
    desk.host.misbehave("code", code=40105, message=f"Wrong token {desk.host.sandbox.token}.", times=None)
    assert not desk.run_range("refresh_accounts", ids[:2]).success
    desk.host.sandbox.state.faults.clear()
    desk.host.misbehave("redirect", status=302, location="http://127.0.0.1:9/else", times=None)
    assert not desk.run("refresh_accounts", tables=["advertisers"]).success
    out, err = capfd.readouterr()
    assert "RUN_FAILURE" in err  # the events themselves were captured
    shown = {"stdout": out, "stderr": err, "log": "".join(str(vars(record)) for record in caplog.records)}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in files)
    for secret in desk.host.secrets:
        assert [name for name, text in shown.items() if secret in text] == []
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_a_step_that_cannot_write_fails_and_says_where(desk: Desk, tmp_path: Path) -> None:
    """A data folder that is a file stops the run; no partition is recorded."""
    ids = desk.know()
    (tmp_path / "data").write_text("in the way")
    result = desk.run_range("refresh_daily", ids, WINDOW, ["ad_report_daily"])
    assert not result.success
    (event,) = [one for one in result.all_events if one.is_step_failure]
    assert "TIKTOK_DATA_DIR" in str(event.step_failure_data.error)
    assert desk.recorded("ad_report_daily") == []
