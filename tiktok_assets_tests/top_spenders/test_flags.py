"""Laws of the flags: once per campaign and ad, ever, with their alert in the same transaction."""

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

from tiktok_assets.duplication.approvals import BY_CODE, Approval, decide_approval
from tiktok_assets.duplication.models import DuplicationRequest
from tiktok_assets.settings import Settings, load_settings
from tiktok_assets.spec.entities import ADS, ADVERTISERS
from tiktok_assets.storage.hive_store import HiveStore
from tiktok_assets.storage.state import State, approvals, duplication_steps, duplications, flags, outbox, utc_now
from tiktok_assets.top_spenders.candidates import CANDIDATES_SCHEMA, build_candidates_table
from tiktok_assets.top_spenders.flags import compute_flag_id, record_flag
from tiktok_assets.top_spenders.leader_changes import record_leader_changes
from tiktok_assets_tests.top_spenders.ranked_account import (
    CAMPAIGN,
    MORNING,
    OWNER,
    Account,
    build_ad_row,
    build_ranking,
    count_rows,
    open_account,
)
from tiktok_assets_tests.top_spenders.test_leader_changes import won_by

OTHER = str(int(CAMPAIGN) + 1)

histories = st.lists(
    st.tuples(
        st.sampled_from("ABC"), st.sampled_from("ABC"), st.sampled_from(["flag", "assess", "replay", "nothing"])
    ),
    min_size=1,
    max_size=8,
)
"""Who leads each of two campaigns at a look, and what happens after it."""


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories)
def test_whatever_happens_an_ad_is_flagged_at_most_once_and_a_baseline_never(
    tmp_path: Path, history: list[tuple[str, str, str]]
) -> None:
    """Over any sequence of leaders and replays: no baseline, nobody twice, nobody forgotten, one alert a flag."""
    with open_account(tmp_path, in_memory=True) as account:
        account.has("ABC", CAMPAIGN, OTHER)
        first = {CAMPAIGN: history[0][0], OTHER: history[0][1]}
        reports = []
        for one, other, then in history:
            account.look(won_by(one), won_by(other))
            reports.append((won_by(one), account.now))
            if then == "replay":
                record_leader_changes(account.state, build_ranking(*reports[0]))
            if then == "assess":
                before = account.flagged
                assert account.assessed() == account.assessed()
                assert account.flagged == before
            if then == "flag":
                account.flag_all()
                leading = {CAMPAIGN: one, OTHER: other}
                told = _flagged(account)
                assert {pair for pair in leading.items() if first[pair[0]] != pair[1]} <= set(told)
        told = _flagged(account)
        assert len(told) == len(set(told)) == account.alerts
        assert not set(told) & set(first.items())
        account.flag_all()
        assert account.flag_all() == []


def _flagged(account: Account) -> list[tuple[str, str]]:
    with account.state.transaction() as connection:
        return [(row[0], row[1]) for row in connection.execute(sa.select(flags.c.campaign_id, flags.c.ad_id))]


def test_an_ad_that_overtakes_is_flagged_with_its_numbers(tmp_path: Path) -> None:
    """The flag keeps the ranking's row and who led before, and its alert stands in the outbox under its id."""
    with open_account(tmp_path) as account:
        account.has("AB")
        account.put(ADVERTISERS, {"advertiser_id": OWNER, "name": "Sunset Skincare"})
        account.look({"A": 100, "B": "40.0001"})
        assert account.assess() == []
        account.look({"A": 100, "B": "130.0001"})
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
def test_an_alert_carries_the_code_of_its_duplication(tmp_path: Path, mode: str) -> None:
    """Where a launch can duplicate, the message has the one code that approves just that."""
    with open_account(tmp_path, scaling_mode=mode, scaling_campaigns={OWNER: "555"}) as account:
        account.has("AB")
        account.look({"A": 100, "B": 40})
        account.look({"A": 100, "B": 130})
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


def test_a_held_ad_is_flagged_once_it_reaches_the_minimum(tmp_path: Path) -> None:
    """While it leads it is assessed at each look, so the look at which it has enough flags it."""
    with open_account(tmp_path, min_spend="50") as account:
        account.has("AB")
        account.look({"A": 10, "B": 5})
        for spend in (20, 49):
            account.look({"A": 10, "B": spend})
            assert account.assessed() == {(OWNER, CAMPAIGN, "B"): ["spend"]}
            assert account.flag_all() == []
        account.look({"A": 10, "B": 50})
        assert account.flag_all() == ["B"]
        assert account.assess() == []


def test_a_leader_that_returns_is_not_new(tmp_path: Path) -> None:
    """The first leader is never flagged when it comes back, nor is one that was flagged."""
    with open_account(tmp_path) as account:
        account.has("AB")
        flagged = []
        for leader in "ABABAB":
            account.look(won_by(leader))
            flagged += account.flag_all()
        assert flagged == account.flagged == ["B"]
        account.look(won_by("A"))
        (back,) = account.assess()
        assert back.pair[2] == "A"
        assert "so it is not new" in back.reason


def test_a_restatement_that_flips_the_leader_flags_nobody_by_accident(tmp_path: Path) -> None:
    """With a minimum lead, a leader that flips by cents is held back each time and flagged once it is clear."""
    with open_account(tmp_path, min_lead="0.10") as account:
        account.has("AB")
        for cents in (0, 2, 0, 2, 0, 2):
            account.look({"A": "100.01", "B": f"100.0{cents}"})
            assert account.flag_all() == []
        assert account.assessed() == {(OWNER, CAMPAIGN, "A"): ["new"], (OWNER, CAMPAIGN, "B"): ["lead"]}
        account.look({"A": "100.01", "B": "110.011"})
        assert account.flag_all() == ["B"]
        account.look({"A": "200", "B": "110.02"})
        account.look({"A": "200", "B": "300"})
        assert account.flag_all() == []
        assert account.flagged == ["B"]


def test_an_ad_that_lost_the_lead_is_held_back_with_the_numbers_it_led_with(tmp_path: Path) -> None:
    """Between the look and the run another overtook: the run flags nobody and says who leads."""
    with open_account(tmp_path) as account:
        account.has("ABC")
        account.look({"A": 10})
        account.look({"A": 10, "B": 20})
        account.look({"A": 10, "B": 20, "C": 30})
        held = account.flag("B")
        assert held.reason == "it no longer leads: ad C does, with 30.0000 EUR"
        assert held.facts["spend"] == "20.0000"
        assert (account.flagged, account.alerts) == ([], 0)


def test_the_cool_down_holds_the_campaign_and_no_other(tmp_path: Path) -> None:
    """After a flag the campaign is quiet for the days set; then the leader of that day is flagged."""
    with open_account(tmp_path, flag_cooldown_days=3) as account:
        account.has("ABC", CAMPAIGN, OTHER)
        account.look(won_by("A"), won_by("A"))
        account.look(won_by("B"), won_by("A"))
        assert account.flag_all() == ["B"]
        flagged_at = account.now
        account.look(won_by("C"), won_by("C"))
        assert account.assessed() == {(OWNER, CAMPAIGN, "C"): ["cool_down"], (OWNER, OTHER, "C"): []}
        assert account.flag_all() == ["C"]
        account.look(won_by("C"), won_by("C"), at=flagged_at + timedelta(days=3, seconds=-1))
        assert account.flag_all() == []
        account.look(won_by("C"), won_by("C"), at=flagged_at + timedelta(days=3))
        assert account.flag_all() == ["C"]


def test_the_daily_cap_counts_those_about_to_be_flagged(tmp_path: Path) -> None:
    """Of five that overtake at once as many are due as the cap leaves, in order; a day later more."""
    campaigns = [str(int(CAMPAIGN) + number) for number in range(5)]
    with open_account(tmp_path, flags_per_day=2) as account:
        account.has("AB", *campaigns)
        account.look(*[won_by("A")] * 5)
        account.look(*[won_by("B")] * 5)
        due = [pair[1] for pair, held in account.assessed().items() if not held]
        assert due == campaigns[:2]
        assert len(account.flag_all()) == 2
        assert account.flag("B", campaigns[2]).holds[0].guardrail == "daily_cap"
        flagged_at = account.now
        account.look(*[won_by("B")] * 5, at=flagged_at + timedelta(hours=24))
        assert len(account.flag_all()) == 2
        account.look(*[won_by("B")] * 5, at=flagged_at + timedelta(hours=48))
        assert len(account.flag_all()) == 1
        assert account.flag_all() == []


def test_a_copy_is_known_by_the_ledger_whatever_its_name(tmp_path: Path) -> None:
    """An ad the ledger made is held back even after somebody renamed it."""
    with open_account(tmp_path) as account:
        account.has("AB")
        ledger = {"duplication_key": "k", "advertiser_id": OWNER, "campaign_id": CAMPAIGN, "status": "done"}
        step = {"duplication_key": "k", "step": "ad", "marker": "m", "request": "{}", "object_id": "B"}
        with account.state.transaction() as connection:
            connection.execute(sa.insert(duplications).values(**ledger, ad_id="A", started_at=MORNING))
            connection.execute(sa.insert(duplication_steps).values(**step))
        account.look(won_by("A"))
        account.look(won_by("B"))
        assert account.assessed() == {(OWNER, CAMPAIGN, "B"): ["original"]}


def test_a_flag_without_its_alert_is_not_made(tmp_path: Path) -> None:
    """If the alert cannot be written neither is the flag; afterwards the ad is flagged as if nothing had been."""
    with open_account(tmp_path) as account:
        account.has("AB")
        account.look(won_by("A"))
        account.look(won_by("B"))
        with account.state.transaction() as connection:
            connection.execute(sa.text("ALTER TABLE outbox RENAME TO away"))
        with pytest.raises(OperationalError):
            account.flag("B")
        assert account.flagged == []
        with account.state.transaction() as connection:
            connection.execute(sa.text("ALTER TABLE away RENAME TO outbox"))
        assert account.flag_all() == ["B"]
        assert account.alerts == 1


def test_every_receiver_has_its_row(tmp_path: Path) -> None:
    """One flag is one row for each receiver and one for the folder."""
    with open_account(tmp_path, alert_urls=["json://one.example", "json://two.example"]) as account:
        account.has("AB")
        account.look(won_by("A"))
        account.look(won_by("B"))
        account.flag_all()
        assert account.alerts == 3


@pytest.mark.parametrize("ad_id", ["A", "C"])
def test_an_ad_that_never_began_to_lead_cannot_be_flagged(tmp_path: Path, ad_id: str) -> None:
    """A run launched by hand for the baseline or a stranger is refused."""
    with open_account(tmp_path) as account:
        account.has("ABC")
        account.look(won_by("A"))
        account.look(won_by("B"))
        with pytest.raises(LookupError, match=f"ad {ad_id} never began to lead campaign {CAMPAIGN}"):
            account.flag(ad_id)


def _flag_b(folder: str) -> list[str]:
    """In a process of its own: flag one ad, and say what held it back."""
    mine = load_settings(data_dir=f"{folder}/data", state_dir=Path(folder, "state"), min_spend=0, min_lead=0)
    state = State(mine.state_address)
    found = record_flag(state, HiveStore(mine.data_dir), mine, (OWNER, CAMPAIGN, "B"), datetime.now(UTC))
    state.close()
    return [hold.guardrail for hold in found.holds]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_two_at_once_make_one_flag(tmp_path: Path, kind: str) -> None:
    """Whoever comes second, in another thread or process, finds the flag made: one row, one alert."""
    with open_account(tmp_path) as account:
        account.has("AB")
        account.look(won_by("A"))
        account.look(won_by("B"))
        spawn = multiprocessing.get_context("spawn")
        pool = ThreadPoolExecutor(8) if kind == "threads" else ProcessPoolExecutor(2, spawn)
        with pool:
            held = list(pool.map(_flag_b, [str(tmp_path)] * (16 if kind == "threads" else 2)))
        assert sorted(held) == [[], *[["once"]] * (len(held) - 1)]
        assert (count_rows(account.state, flags), account.alerts) == (1, 1)


def test_the_caps_hold_when_many_flag_at_once(tmp_path: Path) -> None:
    """Ten campaigns flagged at once by threads: never more than the cap, since each looks again inside."""
    campaigns = [str(int(CAMPAIGN) + number) for number in range(10)]
    with open_account(tmp_path, flags_per_day=3) as account:
        account.has("AB", *campaigns)
        account.look(*[won_by("A")] * 10)
        account.look(*[won_by("B")] * 10)
        with ThreadPoolExecutor(10) as pool:
            found = list(pool.map(lambda campaign: account.flag("B", campaign), campaigns))
        assert sum(not one.holds for one in found) == count_rows(account.state, flags) == 3


def _table(account: Account) -> Mapping[str, dict[str, object]]:
    frame = build_candidates_table(account.state, account.store, account.settings, account.now, [OWNER])
    assert frame.schema == CANDIDATES_SCHEMA
    return {row["ad_id"]: row for row in frame.to_dicts()}


def test_the_table_tells_who_was_flagged_who_is_held_and_who_is_due(tmp_path: Path) -> None:
    """One row for each ad that began to lead, with status, reason and numbers; the baseline has none."""
    with open_account(tmp_path, min_spend="15") as account:
        account.has("ABC")
        assert _table(account) == {}
        account.look({"A": 5})
        account.look({"A": 5, "B": 10})
        row = _table(account)["B"]
        assert (row["status"], row["guardrails"], row["flagged_at"]) == ("held", "spend", None)
        assert str(row["reason"]).startswith("it has spent 10.0000 EUR, less than TIKTOK_MIN_SPEND of 15 EUR")
        account.look({"A": 5, "B": 20})
        row = _table(account)["B"]
        assert (row["status"], row["reason"], str(row["spend"])) == ("due", None, "20.0000")
        account.flag_all()
        flagged_at = account.now
        account.look({"A": 5, "B": 30, "C": 31})
        table = _table(account)
        assert list(table) == ["B", "C"]
        row = table["B"]
        assert (row["status"], row["flagged_at"], str(row["spend"])) == ("flagged", flagged_at, "20.0000")
        assert (row["previous_ad_id"], row["flag_id"]) == ("A", compute_flag_id(OWNER, CAMPAIGN, "B"))
        assert (table["C"]["status"], table["C"]["leads_since"]) == ("due", account.now)


def test_one_wrong_ad_does_not_hide_another(tmp_path: Path) -> None:
    """Each campaign's candidate is judged by itself, by the rows of its own ad."""
    with open_account(tmp_path) as account:
        account.has("AB", CAMPAIGN, OTHER)
        account.put(
            ADS, {**build_ad_row("B"), "operation_status": "DISABLE"}, build_ad_row("C", OTHER), build_ad_row("A")
        )
        account.look(won_by("A"), won_by("A"))
        account.look(won_by("B"), won_by("C"))
        held = account.assessed()
        assert held[OWNER, CAMPAIGN, "B"] == ["delivering"]
        assert held[OWNER, OTHER, "C"] == ["delivering"]  # its ad group is not stored


FORKSERVER = "tiktok_assets_tests.top_spenders.ranked_account"
PAIR = (OWNER, CAMPAIGN, "B")
POINTS = (
    *(f"{when} INSERT INTO {table}" for table in ("flags", "keys", "approvals") for when in ("before", "after")),
    "before INSERT INTO outbox",
    "before COMMIT",
)


def flag_until(settings: Settings, point: str) -> None:
    """Flag in this process, which does not survive the point; SQLAlchemy tells when it is reached."""

    def reached(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def told(when: str) -> Callable[..., None]:
        def tell(*arguments: object) -> None:
            reached(f"{when} {' '.join(str(arguments[2]).split()[:3])}")

        return tell

    state = State(settings.state_address)
    written: list[object] = []

    def committing(_: sa.Connection) -> None:
        if written:
            reached("before COMMIT")

    def inserted(*arguments: object) -> None:
        if str(arguments[2]).startswith("INSERT INTO outbox"):
            written.append(arguments)

    sa.event.listen(sa.Engine, "before_cursor_execute", told("before"))
    sa.event.listen(sa.Engine, "after_cursor_execute", told("after"))
    sa.event.listen(sa.Engine, "after_cursor_execute", inserted)
    sa.event.listen(sa.Engine, "commit", committing)
    record_flag(state, HiveStore(settings.data_dir), settings, PAIR, MORNING)
    reached("after COMMIT")


def test_killed_at_any_line_there_is_one_flag_with_one_alert_and_one_code(tmp_path: Path) -> None:
    """Killed before its commit there is nothing, after it all three; asked again there is one of each."""
    context = get_context("forkserver")
    context.set_forkserver_preload([FORKSERVER])
    for number, point in enumerate((*POINTS, "after COMMIT")):
        folder, target = tmp_path / str(number), {OWNER: "555"}
        with open_account(folder, scaling_mode="propose", scaling_campaigns=target) as account:
            account.has("AB")
            account.look({"A": 100, "B": 40})
            account.look({"A": 100, "B": 130})
            process = context.Process(target=flag_until, args=(account.settings, point))
            process.start()
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, point
            left = int(point == "after COMMIT")
            assert (len(account.flagged), account.alerts, count_rows(account.state, approvals)) == (left,) * 3, (
                point
            )
            account.flag_all()
            assert (account.flagged, account.alerts, count_rows(account.state, approvals)) == (["B"], 1, 1), point
            assert account.flag_all() == []
