"""Tests of flags: each campaign and ad is flagged at most once, with its alert in the same transaction."""

import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import OperationalError

from tiktok_assets.duplication.ad_kinds import AD_KINDS, MANUAL, AdKind
from tiktok_assets.duplication.approvals import BY_CODE, Approval, decide_approval
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import AD_GROUPS, ADS, ADVERTISERS, CAMPAIGNS
from tiktok_assets.storage.parquet_store import HiveStore, Partition
from tiktok_assets.storage.state import State, approvals, duplication_steps, duplications, flags, outbox, utc_now
from tiktok_assets.tables.schema import build_schema, entity_columns
from tiktok_assets.top_spenders.candidates import CANDIDATES_SCHEMA, build_candidates_table
from tiktok_assets.top_spenders.flags import compute_flag_id, record_flag
from tiktok_assets.top_spenders.leader_changes import record_leader_changes
from tiktok_assets_tests.top_spenders.ranked_account import (
    CAMPAIGN,
    OWNER,
    START,
    Account,
    build_ad_group_row,
    build_ad_row,
    build_campaign_row,
    build_ranking,
    count_rows,
    open_account,
)
from tiktok_assets_tests.top_spenders.test_leader_changes import build_leading_spends

OTHER = str(int(CAMPAIGN) + 1)

HISTORIES = st.lists(
    st.tuples(
        st.sampled_from("ABC"), st.sampled_from("ABC"), st.sampled_from(["flag", "assess", "replay", "nothing"])
    ),
    min_size=1,
    max_size=8,
)
"""The leader of each of two campaigns in a report, and what happens after it."""


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HISTORIES)
def test_each_ad_is_flagged_at_most_once_and_a_baseline_never(
    tmp_path: Path, history: list[tuple[str, str, str]]
) -> None:
    """For any sequence of leaders no baseline is flagged, no ad twice, none is missed, and each has one alert."""
    with open_account(tmp_path, in_memory=True) as account:
        account.write_ads("ABC", CAMPAIGN, OTHER)
        first = {CAMPAIGN: history[0][0], OTHER: history[0][1]}
        reports = []
        for one, other, then in history:
            account.read_reports(build_leading_spends(one), build_leading_spends(other))
            reports.append((build_leading_spends(one), account.now))
            if then == "replay":
                record_leader_changes(account.state, build_ranking(*reports[0]))
            if then == "assess":
                before = account.flagged
                assert account.list_holds() == account.list_holds()
                assert account.flagged == before
            if then == "flag":
                account.flag_all()
                leading = {CAMPAIGN: one, OTHER: other}
                flagged = _read_flags(account)
                assert {key for key in leading.items() if first[key[0]] != key[1]} <= set(flagged)
        flagged = _read_flags(account)
        assert len(flagged) == len(set(flagged)) == account.outbox_rows
        assert not set(flagged) & set(first.items())
        account.flag_all()
        assert account.flag_all() == []


def _read_flags(account: Account) -> list[tuple[str, str]]:
    with account.state.transaction() as connection:
        return [(row[0], row[1]) for row in connection.execute(sa.select(flags.c.campaign_id, flags.c.ad_id))]


def test_new_leader_is_flagged_with_its_numbers(tmp_path: Path) -> None:
    """The flag keeps the ranking's row and the previous leader, and its alert is in the outbox under its id."""
    with open_account(tmp_path) as account:
        account.write_ads("AB")
        account.write_table(ADVERTISERS, {"advertiser_id": OWNER, "name": "Sunset Skincare"})
        account.read_reports({"A": 100, "B": "40.0001"})
        assert account.assess() == []
        account.read_reports({"A": 100, "B": "130.0001"})
        assert account.flag_all() == ["B"]
        with account.state.transaction() as connection:
            row = connection.execute(sa.select(flags)).mappings().one()
            alert = connection.execute(sa.select(outbox)).mappings().one()
        assert row["flag_id"] == alert["alert_id"] == compute_flag_id(OWNER, CAMPAIGN, "B")
        assert (row["flagged_at"], alert["kind"]) == (account.now, "new_top_spender")
        facts = row["facts"]
        assert (facts["spend"], facts["runner_up_spend"], facts["currency"]) == ("130.0001", "100.0000", "EUR")
        assert (facts["previous_ad_id"], facts["previous_ad_name"]) == ("A", "Ad A")
        assert facts["advertiser_name"] == "Sunset Skincare"
        assert facts["leads_since"] == account.now.isoformat()


@pytest.mark.parametrize("mode", ["alert", "propose", "execute"])
def test_alert_contains_the_code_of_its_duplication(tmp_path: Path, mode: str) -> None:
    """Where a launch can duplicate, the alert has the one code that approves just that."""
    with open_account(tmp_path, scaling_mode=mode, scaling_campaigns={OWNER: "555"}) as account:
        account.write_ads("AB")
        account.read_reports({"A": 100, "B": 40})
        account.read_reports({"A": 100, "B": 130})
        assert account.flag_all() == ["B"]
        with account.state.transaction() as connection:
            text = connection.execute(sa.select(outbox.c.message)).scalar_one()["text"]
            codes = re.findall(r"Approval code: ([A-Z2-7-]{27}), once, until ", text)
            issued = connection.scalar(sa.select(sa.func.count()).select_from(approvals))
            assert len(codes) == issued == (mode != "alert")
            if mode != "alert":
                code, target = Approval("run 1", BY_CODE, codes[0]), DuplicationRequest(OWNER, "B", "555")
                assert decide_approval(connection, replace(target, ad_id="A"), code, utc_now()).refusal
                assert decide_approval(connection, target, code, utc_now()).refusal == ""
                row = connection.execute(sa.select(approvals)).mappings().one()
                assert row["alert_id"] == compute_flag_id(OWNER, CAMPAIGN, "B")
                assert timedelta(days=6.9) < row["expires_at"] - utc_now() <= timedelta(days=7)


def test_held_ad_is_flagged_once_it_reaches_the_minimum(tmp_path: Path) -> None:
    """An ad that leads is assessed with each report, so it is flagged once it has spent enough."""
    with open_account(tmp_path, min_spend="50") as account:
        account.write_ads("AB")
        account.read_reports({"A": 10, "B": 5})
        for spend in (20, 49):
            account.read_reports({"A": 10, "B": spend})
            assert account.list_holds() == {(OWNER, CAMPAIGN, "B"): ["spend"]}
            assert account.flag_all() == []
        account.read_reports({"A": 10, "B": 50})
        assert account.flag_all() == ["B"]
        assert account.assess() == []


def test_returning_leader_is_not_new(tmp_path: Path) -> None:
    """Neither the baseline nor a flagged ad is flagged when it leads again."""
    with open_account(tmp_path) as account:
        account.write_ads("AB")
        flagged = []
        for leader in "ABABAB":
            account.read_reports(build_leading_spends(leader))
            flagged += account.flag_all()
        assert flagged == account.flagged == ["B"]
        account.read_reports(build_leading_spends("A"))
        (returned,) = account.assess()
        assert returned.ad_key[2] == "A"
        assert "so it is not new" in returned.reason


def test_flipping_leader_is_held_by_the_minimum_lead(tmp_path: Path) -> None:
    """With a minimum lead, a leader that flips by cents is held until its lead is clear."""
    with open_account(tmp_path, min_lead="0.10") as account:
        account.write_ads("AB")
        for cents in (0, 2, 0, 2, 0, 2):
            account.read_reports({"A": "100.01", "B": f"100.0{cents}"})
            assert account.flag_all() == []
        assert account.list_holds() == {(OWNER, CAMPAIGN, "A"): ["new"], (OWNER, CAMPAIGN, "B"): ["lead"]}
        account.read_reports({"A": "100.01", "B": "110.011"})
        assert account.flag_all() == ["B"]
        account.read_reports({"A": "200", "B": "110.02"})
        account.read_reports({"A": "200", "B": "300"})
        assert account.flag_all() == []
        assert account.flagged == ["B"]


def test_ad_that_lost_the_lead_is_held_with_its_old_numbers(tmp_path: Path) -> None:
    """An ad that was overtaken before its run is not flagged, and the reason has the present leader."""
    with open_account(tmp_path) as account:
        account.write_ads("ABC")
        account.read_reports({"A": 10})
        account.read_reports({"A": 10, "B": 20})
        account.read_reports({"A": 10, "B": 20, "C": 30})
        held = account.flag("B")
        assert held.reason == "it no longer leads: ad C does, with 30.0000 EUR"
        assert held.facts["spend"] == "20.0000"
        assert (account.flagged, account.outbox_rows) == ([], 0)


def test_cooldown_holds_only_its_campaign(tmp_path: Path) -> None:
    """After a flag its campaign has no other flag for the configured days."""
    with open_account(tmp_path, flag_cooldown_days=3) as account:
        account.write_ads("ABC", CAMPAIGN, OTHER)
        account.read_reports(build_leading_spends("A"), build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"), build_leading_spends("A"))
        assert account.flag_all() == ["B"]
        flagged_at = account.now
        account.read_reports(build_leading_spends("C"), build_leading_spends("C"))
        assert account.list_holds() == {(OWNER, CAMPAIGN, "C"): ["cool_down"], (OWNER, OTHER, "C"): []}
        assert account.flag_all() == ["C"]
        account.read_reports(
            build_leading_spends("C"), build_leading_spends("C"), at=flagged_at + timedelta(days=3, seconds=-1)
        )
        assert account.flag_all() == []
        account.read_reports(
            build_leading_spends("C"), build_leading_spends("C"), at=flagged_at + timedelta(days=3)
        )
        assert account.flag_all() == ["C"]


def test_daily_cap_counts_ads_about_to_be_flagged(tmp_path: Path) -> None:
    """Of five new leaders at once as many are due as the daily cap leaves; more a day later."""
    campaigns = [str(int(CAMPAIGN) + number) for number in range(5)]
    with open_account(tmp_path, flags_per_day=2) as account:
        account.write_ads("AB", *campaigns)
        account.read_reports(*[build_leading_spends("A")] * 5)
        account.read_reports(*[build_leading_spends("B")] * 5)
        due = [key[1] for key, held in account.list_holds().items() if not held]
        assert due == campaigns[:2]
        assert len(account.flag_all()) == 2
        assert account.flag("B", campaigns[2]).holds[0].guardrail == "daily_cap"
        flagged_at = account.now
        account.read_reports(*[build_leading_spends("B")] * 5, at=flagged_at + timedelta(hours=24))
        assert len(account.flag_all()) == 2
        account.read_reports(*[build_leading_spends("B")] * 5, at=flagged_at + timedelta(hours=48))
        assert len(account.flag_all()) == 1
        assert account.flag_all() == []


def _insert_copy(account: Account, object_id: str) -> None:
    """Insert the object that a duplication created into the ledger."""
    ledger = {"duplication_key": "k", "advertiser_id": OWNER, "campaign_id": CAMPAIGN, "status": "done"}
    step = {"duplication_key": "k", "step": "ad", "marker": "m", "request": "{}", "object_id": object_id}
    with account.state.transaction() as connection:
        connection.execute(sa.insert(duplications).values(**ledger, ad_id="A", started_at=START))
        connection.execute(sa.insert(duplication_steps).values(**step))


def test_copy_is_detected_by_the_ledger(tmp_path: Path) -> None:
    """An ad that a duplication created is held back even after it was renamed."""
    with open_account(tmp_path) as account:
        account.write_ads("AB")
        _insert_copy(account, "B")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        assert account.list_holds() == {(OWNER, CAMPAIGN, "B"): ["original"]}


def test_flag_without_its_alert_is_not_written(tmp_path: Path) -> None:
    """If the alert cannot be written neither is the flag, and the ad is flagged later."""
    with open_account(tmp_path) as account:
        account.write_ads("AB")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        with account.state.transaction() as connection:
            connection.execute(sa.text("ALTER TABLE outbox RENAME TO away"))
        with pytest.raises(OperationalError):
            account.flag("B")
        assert account.flagged == []
        with account.state.transaction() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO outbox"))
        assert account.flag_all() == ["B"]
        assert account.outbox_rows == 1


def test_every_channel_has_its_row(tmp_path: Path) -> None:
    """One flag gives one row for each channel and one for the folder."""
    with open_account(tmp_path, alert_urls=["json://one.example", "json://two.example"]) as account:
        account.write_ads("AB")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        account.flag_all()
        assert account.outbox_rows == 3


@pytest.mark.parametrize("ad_id", ["A", "C"])
def test_ad_that_never_took_the_lead_cannot_be_flagged(tmp_path: Path, ad_id: str) -> None:
    """Flagging the baseline or an unknown ad is an error."""
    with open_account(tmp_path) as account:
        account.write_ads("ABC")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        with pytest.raises(LookupError, match=f"ad {ad_id} never began to lead campaign {CAMPAIGN}"):
            account.flag(ad_id)


def _flag_b(folder: str) -> list[str]:
    """Flag one ad in a process of its own, and return the guardrails that held it back."""
    mine = load_settings(data_dir=f"{folder}/data", state_dir=Path(folder, "state"), min_spend=0, min_lead=0)
    state = State(mine.state_database_url)
    found = record_flag(state, HiveStore(mine.data_dir), mine, (OWNER, CAMPAIGN, "B"), datetime.now(UTC))
    state.close()
    return [hold.guardrail for hold in found.holds]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_concurrent_flags_write_one(tmp_path: Path, kind: str) -> None:
    """Concurrent flags of one ad write one row and one alert, in threads and processes."""
    with open_account(tmp_path) as account:
        account.write_ads("AB")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        spawn = multiprocessing.get_context("spawn")
        pool = ThreadPoolExecutor(8) if kind == "threads" else ProcessPoolExecutor(2, spawn)
        with pool:
            held = list(pool.map(_flag_b, [str(tmp_path)] * (16 if kind == "threads" else 2)))
        assert sorted(held) == [[], *[["once"]] * (len(held) - 1)]
        assert (count_rows(account.state, flags), account.outbox_rows) == (1, 1)


def test_daily_cap_holds_for_concurrent_flags(tmp_path: Path) -> None:
    """Ten campaigns flagged by concurrent threads never exceed the daily cap."""
    campaigns = [str(int(CAMPAIGN) + number) for number in range(10)]
    with open_account(tmp_path, flags_per_day=3) as account:
        account.write_ads("AB", *campaigns)
        account.read_reports(*[build_leading_spends("A")] * 10)
        account.read_reports(*[build_leading_spends("B")] * 10)
        with ThreadPoolExecutor(10) as pool:
            found = list(pool.map(lambda campaign: account.flag("B", campaign), campaigns))
        assert sum(not one.holds for one in found) == count_rows(account.state, flags) == 3


def _build_table(account: Account) -> Mapping[str, dict[str, object]]:
    frame = build_candidates_table(account.state, account.store, account.settings, account.now, [OWNER])
    assert frame.schema == CANDIDATES_SCHEMA
    return {row["ad_id"]: row for row in frame.to_dicts()}


def test_candidates_table(tmp_path: Path) -> None:
    """The table has one row for each ad that took the lead, with status, reason and numbers."""
    with open_account(tmp_path, min_spend="15") as account:
        account.write_ads("ABC")
        assert _build_table(account) == {}
        account.read_reports({"A": 5})
        account.read_reports({"A": 5, "B": 10})
        row = _build_table(account)["B"]
        assert (row["status"], row["guardrails"], row["flagged_at"]) == ("held", "spend", None)
        assert str(row["reason"]).startswith("it has spent 10.0000 EUR, less than TIKTOK_MIN_SPEND of 15 EUR")
        account.read_reports({"A": 5, "B": 20})
        row = _build_table(account)["B"]
        assert (row["status"], row["reason"], str(row["spend"])) == ("due", None, "20.0000")
        account.flag_all()
        flagged_at = account.now
        account.read_reports({"A": 5, "B": 30, "C": 31})
        table = _build_table(account)
        assert list(table) == ["B", "C"]
        row = table["B"]
        assert (row["status"], row["flagged_at"], str(row["spend"])) == ("flagged", flagged_at, "20.0000")
        assert (row["previous_ad_id"], row["flag_id"]) == ("A", compute_flag_id(OWNER, CAMPAIGN, "B"))
        assert (table["C"]["status"], table["C"]["leads_since"]) == ("due", account.now)


KINDS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "manual": {},
    "spark": {"ad": {"tiktok_item_id": "7"}},
    "automated_creative": {"ad_group": {"creative_material_mode": "SMART_CREATIVE"}},
    "upgraded_smart_plus": {"ad": {"smart_plus_ad_id": "9", "tiktok_item_id": "7"}},
    "smart_plus": {"campaign": {"is_smart_performance_campaign": True}},
    "other_automation": {"campaign": {"campaign_automation_type": "NEXT"}},
    "catalogue": {"ad_group": {"extra": '{"product_source": "CATALOG"}'}},
    "shop": {"ad_group": {"extra": '{"product_source": "STORE"}'}},
    "reservation": {"campaign": {"objective_type": "RF_REACH"}},
    "live": {"ad": {"ad_format": "LIVE_CONTENT"}},
    "split_test": {"ad_group": {"extra": '{"split_test_group_id": "5"}'}},
    "promote": {"campaign": {"extra": '{"campaign_system_origin": "PROMOTE"}'}},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*AD_KINDS, MANUAL], ids=lambda kind: kind.name)
def test_every_kind_is_flagged_and_told_once(tmp_path: Path, kind: AdKind) -> None:
    """A new top spender of any kind has one flag and one alert, and a code only if a copy can be created."""
    settings = {"scaling_mode": "propose", "scaling_campaigns": {OWNER: "555"}}
    with open_account(tmp_path, in_memory=True, **settings) as account:
        account.write_ads("AB")
        for which, table, row in (
            ("ad", ADS, build_ad_row("B")),
            ("ad_group", AD_GROUPS, build_ad_group_row("B")),
            ("campaign", CAMPAIGNS, build_campaign_row()),
        ):
            account.write_table(table, {**row, **KINDS[kind.name].get(which, {})})
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        assert [account.flag_all(), account.flag_all()] == [["B"], []]
        (row,) = _build_table(account).values()
        can_be_duplicated = not kind.phrase
        assert (row["status"], row["ad_kind"]) == ("flagged", kind.name)
        assert row["duplicable"] == ("yes" if can_be_duplicated else "by hand")
        assert (row["duplication_steps"] is None) == can_be_duplicated
        assert count_rows(account.state, approvals) == can_be_duplicated
        with account.state.transaction() as connection:
            text = connection.execute(sa.select(outbox.c.message)).scalar_one()["text"]
        assert (
            f"It cannot be duplicated from here: {row['duplication_reason']}. By hand: " in text
        ) != can_be_duplicated
        assert ("It can be duplicated into 555, with the same" in text) == can_be_duplicated


def test_ad_that_no_list_contains_is_told_after_the_next_read_of_the_list(tmp_path: Path) -> None:
    """An ad missing in `ads` waits for a later read of that table, then is flagged by what the report has."""
    with open_account(tmp_path, scaling_mode="propose", scaling_campaigns={OWNER: "555"}) as account:
        account.write_ads("AB")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("C"))
        assert account.list_holds() == {(OWNER, CAMPAIGN, "C"): ["delivering"]}
        for at, held in ((account.now, ["delivering"]), (account.now + timedelta(hours=1), [])):
            for entity in (ADS, AD_GROUPS, CAMPAIGNS):
                frame = account.store.scan(entity.table, build_schema(entity_columns(entity))).collect()
                metadata = {"fetched_at": at.isoformat()}
                account.store.write(entity.table, Partition(OWNER), frame, metadata=metadata)
            assert account.list_holds() == {(OWNER, CAMPAIGN, "C"): held}
        assert account.flag_all() == ["C"]
        (row,) = _build_table(account).values()
        assert (row["ad_name"], row["ad_kind"], row["duplicable"]) == ("Ad C", None, "no")
        assert count_rows(account.state, approvals) == 0


def test_creative_of_a_copied_smart_plus_ad_is_a_copy(tmp_path: Path) -> None:
    """A creative of a Smart+ ad that a duplication created is held back by the ledger's id of that ad."""
    with open_account(tmp_path) as account:
        account.write_ads("AB")
        account.write_table(ADS, build_ad_row("A"), {**build_ad_row("B"), "smart_plus_ad_id": "9"})
        _insert_copy(account, "9")
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        assert account.list_holds() == {(OWNER, CAMPAIGN, "B"): ["original"]}


def test_candidates_are_assessed_independently(tmp_path: Path) -> None:
    """Each campaign's candidate is assessed by the rows of its own ad."""
    with open_account(tmp_path) as account:
        account.write_ads("AB", CAMPAIGN, OTHER)
        account.write_table(
            ADS, {**build_ad_row("B"), "operation_status": "DISABLE"}, build_ad_row("C", OTHER), build_ad_row("A")
        )
        account.read_reports(build_leading_spends("A"), build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"), build_leading_spends("C"))
        held = account.list_holds()
        assert held[OWNER, CAMPAIGN, "B"] == ["delivering"]
        assert held[OWNER, OTHER, "C"] == ["delivering"]  # its ad group is not stored


FORKSERVER = "tiktok_assets_tests.top_spenders.ranked_account"
AD_KEY = (OWNER, CAMPAIGN, "B")
POINTS = (
    *(f"{when} INSERT INTO {table}" for table in ("flags", "keys", "approvals") for when in ("before", "after")),
    "before INSERT INTO outbox",
    "before COMMIT",
)


def flag_and_kill(settings: Settings, point: str) -> None:
    """Flag in this process, which kills itself at the given statement."""

    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def listener(when: str) -> Callable[..., None]:
        def check(*arguments: object) -> None:
            reached(f"{when} {' '.join(str(arguments[2]).split()[:3])}")

        return check

    state = State(settings.state_database_url)
    written: list[object] = []

    def committing(_: sa.Connection) -> None:
        if written:
            reached("before COMMIT")

    def inserted(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO outbox"):
            written.append(arguments)

    sa.event.listen(sa.Engine, "before_cursor_execute", listener("before"))
    sa.event.listen(sa.Engine, "after_cursor_execute", listener("after"))
    sa.event.listen(sa.Engine, "after_cursor_execute", inserted)
    sa.event.listen(sa.Engine, "commit", committing)
    record_flag(state, HiveStore(settings.data_dir), settings, AD_KEY, START)
    reached("after COMMIT")


@pytest.mark.slow
def test_kill_at_any_statement_leaves_one_flag_alert_and_code(tmp_path: Path) -> None:
    """Killed before its commit nothing is written, after it all three; repeated there is one of each."""
    context = get_context("forkserver")
    context.set_forkserver_preload([FORKSERVER])
    for number, point in enumerate((*POINTS, "after COMMIT")):
        folder, target = tmp_path / str(number), {OWNER: "555"}
        with open_account(folder, scaling_mode="propose", scaling_campaigns=target) as account:
            account.write_ads("AB")
            account.read_reports({"A": 100, "B": 40})
            account.read_reports({"A": 100, "B": 130})
            process = context.Process(target=flag_and_kill, args=(account.settings, point))
            process.start()
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, point
            left = int(point == "after COMMIT")
            assert (len(account.flagged), account.outbox_rows, count_rows(account.state, approvals)) == (
                left,
            ) * 3, point
            account.flag_all()
            assert (account.flagged, account.outbox_rows, count_rows(account.state, approvals)) == (["B"], 1, 1), (
                point
            )
            assert account.flag_all() == []
