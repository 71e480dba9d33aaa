"""Laws of approvals: a code allows one duplication, as it was issued, within seven days, and nothing else."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets.duplication.approvals import (
    BY_CODE,
    BY_EXECUTE_MODE,
    BY_TERMINAL,
    BY_YES_OPTION,
    CODE_LIFETIME,
    MAX_WRONG_CODES,
    MIN_RUN_CODE_LIFETIME,
    NO_APPROVAL,
    WRONG_CODE_WINDOW,
    Approval,
    Decision,
    NotApprovedError,
    decide_approval,
    issue_code,
    issue_run_code,
)
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.models import DONE, REFUSED, DuplicationRequest
from tiktok_assets.storage.state import State, approvals, duplications, wrong_codes
from tiktok_assets_tests.duplication.harness import APPROVED_ON_TERMINAL, DuplicationHarness, RecordingConnection
from tiktok_assets_tests.duplication.test_lease_takeover import ended_at

NOW = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
ALERT = "9f2c1b7a33d04e15"

IDS = st.sampled_from(["1", "2", "17001"])
WISHES = st.builds(
    DuplicationRequest,
    advertiser_id=IDS,
    ad_id=IDS,
    campaign_id=IDS,
    ad_group_id=st.none() | IDS,
    budget=st.none() | st.sampled_from([Decimal(50), Decimal("50.5"), Decimal(500)]),
    again=st.integers(0, 2),
)
CHANGES = {
    "advertiser_id": "another advertiser",
    "ad_id": "another ad",
    "campaign_id": "another campaign",
    "ad_group_id": "another ad group",
    "budget": "another budget",
    "again": "another number of `again`",
}


@contextmanager
def opened(folder: Path) -> Iterator[State]:
    """A state of its own, closed in the end."""
    with closing(State(f"sqlite:///{folder}/state.sqlite")) as state:
        yield state


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A state nobody used yet."""
    with opened(tmp_path) as one:
        yield one


def issued(state: State, wish: DuplicationRequest, now: datetime = NOW, alert_id: str = ALERT) -> str:
    """The text of a code."""
    with state.transaction() as connection:
        return issue_code(connection, wish, alert_id, now).text


def issued_at(bench: DuplicationHarness, wish: DuplicationRequest) -> Approval:
    """A launch with the code that was issued for a wish."""
    with closing(State(bench.connection.state_url)) as state:
        return Approval("run 1", BY_CODE, issued(state, wish, datetime.now(UTC)))


def decided(state: State, wish: DuplicationRequest, code: str, now: datetime = NOW, by: str = "run 1") -> Decision:
    """What becomes of a code."""
    with state.transaction() as connection:
        return decide_approval(connection, wish, Approval(by, BY_CODE, code), now)


def count(state: State, table: sa.Table) -> int:
    """The rows of a table."""
    with state.transaction() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WISHES, WISHES)
def test_a_code_is_for_what_it_was_issued_for(
    state: State, wish: DuplicationRequest, other: DuplicationRequest
) -> None:
    """Whatever is changed of account, ad, campaign, ad group, budget or number is named and refused."""
    code = issued(state, wish)
    changed = [words for name, words in CHANGES.items() if getattr(wish, name) != getattr(other, name)]
    told = decided(state, other, code)
    assert bool(told.refusal) is bool(changed)
    assert all(words in told.refusal for words in changed)
    assert code not in told.refusal
    assert decided(state, wish, code).recorded["approved_how"] == BY_CODE
    assert count(state, wrong_codes) == 0


@pytest.mark.parametrize(
    "spelled",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: f"  {code.replace('-', ' ')}\n",
        lambda code: code.replace("O", "0").replace("I", "1").replace("B", "8"),
    ],
    ids=["small", "without dashes", "with spaces", "misread digits"],
)
def test_a_code_may_be_copied_by_hand(state: State, spelled: object) -> None:
    """Case, spaces, dashes and digits that look like letters make no difference."""
    wish = DuplicationRequest("1", "2", "3", budget=Decimal("50.00"))
    code = issued(state, wish)
    assert callable(spelled)
    assert decided(state, replace(wish, budget=Decimal(50)), spelled(code)).refusal == ""


def test_a_code_expires(state: State) -> None:
    """Until seven days have passed it is good; then the sentence says since when, and which command asks anew."""
    wish = DuplicationRequest("1", "2", "3", "4", Decimal("49.90"), 1)
    code = issued(state, wish)
    assert decided(state, wish, code, NOW + CODE_LIFETIME - timedelta(seconds=1)).refusal == ""
    told = decided(state, wish, code, NOW + CODE_LIFETIME).refusal
    assert "expired on 2026-12-04 12:30 UTC" in told
    command = "duplicate 2 --to 3 --advertiser 1 --ad-group 4 --budget 49.90 --again 1 --live"
    assert f"`tiktok-assets {command}`" in told


def test_a_record_that_was_changed_is_no_approval(state: State) -> None:
    """Who moves an expiry or a budget in the state without the key makes no code good for it."""
    wish = DuplicationRequest("1", "2", "3", budget=Decimal(50))
    code = issued(state, wish)
    for change in ({"expires_at": NOW + timedelta(days=300)}, {"budget": Decimal(5000)}, {"alert_id": "another"}):
        with state.transaction() as connection:
            connection.execute(sa.update(approvals).values(**change))
        asked = replace(wish, budget=Decimal(5000)) if "budget" in change else wish
        assert "record of this approval code was changed" in decided(state, asked, code).refusal
        with state.transaction() as connection:
            connection.execute(sa.delete(approvals))
        assert issued(state, wish) == code


def test_guessing_is_bounded(state: State) -> None:
    """After twenty codes that were never issued none is looked at, a right one neither, for an hour."""
    wish = DuplicationRequest("1", "2", "3")
    code = issued(state, wish)
    for number in range(MAX_WRONG_CODES):
        told = decided(state, wish, f"{number:024d}", NOW + timedelta(minutes=number))
        assert "none that was issued here" in told.refusal
    last = NOW + timedelta(minutes=MAX_WRONG_CODES)
    assert "so none is looked at before 13:30 UTC" in decided(state, wish, code, last).refusal
    assert count(state, wrong_codes) == MAX_WRONG_CODES
    with state.transaction() as connection:
        person = decide_approval(connection, wish, Approval("somebody@somewhere", BY_TERMINAL), last)
    assert person.refusal == ""
    assert decided(state, wish, code, NOW + WRONG_CODE_WINDOW).refusal == ""
    assert count(state, wrong_codes) == MAX_WRONG_CODES - 1


@pytest.mark.parametrize("code", ["", "x" * 10**6, "'; drop table keys; --", "\x00", "🙂" * 40])
def test_any_text_may_be_presented(state: State, code: str) -> None:
    """What is no code is refused in one sentence that does not repeat it."""
    told = decided(state, DuplicationRequest("1", "2", "3"), code).refusal
    assert "none that was issued here" in told
    assert len(told) < 400
    assert not code or code not in told


def test_the_state_holds_no_code(state: State, tmp_path: Path) -> None:
    """Neither an approval's record nor any representation has the code; the hash of it finds its record."""
    wish = DuplicationRequest("1", "2", "3")
    with state.transaction() as connection:
        code = issue_code(connection, wish, ALERT, NOW)
    approval = Approval("run 1", BY_CODE, code.text)
    bare = code.text.replace("-", "")
    assert len(bare) == 24
    for shown in (repr(code), repr(approval), str(approval), repr(decided(state, wish, code.text))):
        assert code.text not in shown
        assert bare not in shown
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert code.text.encode() not in stored
    assert bare.encode() not in stored


def test_every_host_of_a_state_knows_its_codes(tmp_path: Path) -> None:
    """Whoever comes first makes the key, once: what one issues at the same time as others, each of them takes."""
    wishes = [DuplicationRequest("1", str(number), "3") for number in range(8)]

    def one(wish: DuplicationRequest) -> str:
        with opened(tmp_path) as mine:
            return issued(mine, wish)

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(one, wishes))
    with opened(tmp_path) as state:
        assert [decided(state, wish, code).refusal for wish, code in zip(wishes, codes, strict=True)] == [""] * 8
    with opened(tmp_path / "elsewhere") as other:
        assert "none that was issued here" in decided(other, wishes[0], codes[0]).refusal


def test_a_run_of_execute_brings_a_code_of_its_own(state: State) -> None:
    """It allows one duplication, switched off, for hours, in that mode; a launch without it gets nothing."""
    wish = DuplicationRequest("1", "2", "3", flag_id=ALERT)
    with state.transaction() as connection:
        codes = {issue_run_code(connection, wish, NOW + timedelta(minutes=late)).text for late in range(30)}
        later = issue_run_code(connection, wish, NOW + timedelta(hours=1)).text
    (code,) = codes  # the sensor may be evaluated twice for one run
    assert later != code
    launch = Approval("run 1", BY_CODE, code, may_enable=True, may_execute=True)

    def told(asked: DuplicationRequest, approval: Approval = launch, now: datetime = NOW) -> str:
        with state.transaction() as connection:
            return decide_approval(connection, asked, approval, now).refusal

    for name, words in CHANGES.items():
        other = {"again": 1, "budget": Decimal(50)}.get(name, "9")
        assert words in told(replace(wish, **{name: other}))  # type: ignore[arg-type] # each of its kind
    assert "stays switched off" in told(replace(wish, enable=True))
    assert "in that mode only" in told(wish, replace(launch, may_execute=False))
    assert "needs the approval code" in told(wish, replace(launch, how=None, code=""))
    assert "needs the approval code" in told(wish, replace(launch, how=BY_EXECUTE_MODE, code=""))
    assert "expired" in told(wish, now=NOW + MIN_RUN_CODE_LIFETIME + timedelta(hours=1))
    with state.transaction() as connection:
        assert decide_approval(connection, wish, launch, NOW).recorded["approved_how"] == BY_EXECUTE_MODE
        used = sa.select(approvals).where(approvals.c.used_for.is_not(None))
        row = connection.execute(used).mappings().one()
    assert (row["alert_id"], row["used_for"], row["used_by"]) == (BY_EXECUTE_MODE, wish.key, "run 1")
    assert told(wish, replace(launch, code=later)) == ""  # the next attempt of the same duplication


@pytest.mark.parametrize("how", [BY_CODE, BY_TERMINAL, BY_YES_OPTION])
def test_switching_on_needs_a_setting(bench: DuplicationHarness, how: object) -> None:
    """However it is approved: where the settings do not allow it nothing is sent, and the sentence names it."""
    wish = bench.wish(again=600, enable=True)
    approval = replace(issued_at(bench, wish), how=how, may_enable=False)  # type: ignore[arg-type] # one of the ways
    with pytest.raises(NotApprovedError, match="TIKTOK_SCALING_ENABLE=allow"):
        bench.carry_out(wish, approval=approval)
    assert bench.host.requests == []
    with bench.connection.open() as duplicator:
        refused = replace(duplicator, approval=NO_APPROVAL).rehearse(wish)
        assert [one for one in refused.refusals if "TIKTOK_SCALING_ENABLE=allow" in one]
        assert duplicator.ledger.entries() == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"again": 601}, "another number"),
        ({"budget": Decimal(5000)}, "another budget"),
        ({"ad_group_id": "19001"}, "another ad group"),
        ({"campaign_id": "18001"}, "another campaign"),
        ({"ad_id": "17001"}, "another ad"),
        ({"advertiser_id": "7001"}, "another advertiser"),
    ],
)
def test_a_launch_that_changed_something_sends_nothing(
    bench: DuplicationHarness, change: dict[str, object], reason: str
) -> None:
    """With the code of an alert and one thing changed nothing is read, sent or begun."""
    wish = bench.wish(again=602)
    approval = issued_at(bench, wish)
    with pytest.raises(NotApprovedError, match=reason):
        bench.carry_out(bench.wish(**{"again": 602, **change}), approval=approval)
    assert bench.host.requests == []
    with closing(State(bench.connection.state_url)) as state:
        assert count(state, duplications) == 0


def test_without_an_approval_nothing_begins_and_what_was_begun_is_finished(bench: DuplicationHarness) -> None:
    """No approval: refused before anything is asked. Begun with one and killed, it is finished without one."""
    wish = bench.wish(again=603)
    with pytest.raises(NotApprovedError, match="needs the approval code of its alert"):
        bench.carry_out(wish, approval=NO_APPROVAL)
    assert bench.host.requests == []
    begun = replace(bench, connection=replace(bench.connection, approval=issued_at(bench, wish)))
    ended_at(begun, wish, "ledger: after begin")
    for other in ({"budget": Decimal(500)}, {"enable": True}):  # nothing was sent yet, and yet it is not anew
        with pytest.raises(NotApprovedError):
            bench.carry_out(replace(wish, **other), approval=NO_APPROVAL)
    ended_at(
        replace(bench, connection=replace(bench.connection, approval=NO_APPROVAL)), wish, "ledger: after plan"
    )
    entry = bench.carry_out(wish, approval=NO_APPROVAL)
    assert (entry.status, entry.approved_how, entry.approved_by) == (DONE, BY_CODE, "run 1")
    assert entry.approved_at
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]
    # Done is done, whoever asks.
    sent = len(bench.writes)
    assert bench.carry_out(wish, approval=NO_APPROVAL) == entry
    assert len(bench.writes) == sent


def test_what_was_refused_begins_again_with_its_own_code_only(bench: DuplicationHarness) -> None:
    """After a refusal the same code is good for the same duplication, half made or not; no code is not."""
    wish = bench.wish(again=604)
    approval = issued_at(bench, wish)
    bench.host.misbehave("code", path="ad/create", code=40002, message="not now")
    with pytest.raises(RefusedError, match="not now"):
        bench.carry_out(wish, approval=approval)
    sent = len(bench.writes)
    with pytest.raises(NotApprovedError):
        bench.carry_out(wish, approval=NO_APPROVAL)
    with bench.connection.open() as duplicator:
        entry = duplicator.ledger.find(wish.key)
    assert entry
    assert entry.status == REFUSED
    assert len(bench.writes) == sent
    assert bench.carry_out(wish, approval=approval).status == DONE
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def duplicate_with(connection: RecordingConnection, wish: DuplicationRequest) -> None:
    """Duplicate in this process."""
    with connection.open() as duplicator:
        duplicator.carry_out(wish)


def test_two_processes_with_one_code_make_one_copy(bench: DuplicationHarness) -> None:
    """At the same time, each with connections of its own: one begins, the other goes on or finds it done."""
    wish = bench.wish(again=605)
    connection = replace(bench.connection, approval=issued_at(bench, wish))
    context = get_context("forkserver")
    processes = [context.Process(target=duplicate_with, args=(connection, wish)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]
    with closing(State(bench.connection.state_url)) as state:
        assert count(state, approvals) == count(state, duplications) == 1


BEFORE = """
CREATE TABLE duplications (
  duplication_key VARCHAR(64) NOT NULL, advertiser_id VARCHAR(32) NOT NULL, ad_id VARCHAR(32) NOT NULL,
  campaign_id VARCHAR(32) NOT NULL, ad_group_id VARCHAR(32), again INTEGER NOT NULL, enable BOOLEAN NOT NULL,
  budget VARCHAR(40), currency VARCHAR(3), added_budget VARCHAR(40), status VARCHAR(32) NOT NULL, reason TEXT,
  flag_id VARCHAR(64), started_at VARCHAR(32) NOT NULL, done_at VARCHAR(32), PRIMARY KEY (duplication_key)
);
CREATE TABLE duplication_steps (
  duplication_key VARCHAR(64) NOT NULL, step VARCHAR(32) NOT NULL, target VARCHAR(32), marker VARCHAR(32) NOT NULL,
  request TEXT NOT NULL, sent_at VARCHAR(32), attempts INTEGER NOT NULL, object_id VARCHAR(32),
  made_at VARCHAR(32), request_id VARCHAR(64), PRIMARY KEY (duplication_key, step),
  FOREIGN KEY(duplication_key) REFERENCES duplications (duplication_key)
);
"""
"""The two tables of the ledger as the version before approvals made them."""


@pytest.mark.parametrize("enable", [False, True])
def test_what_was_begun_before_approvals_is_finished(
    bench: DuplicationHarness, tmp_path: Path, *, enable: bool
) -> None:
    """A database of the version before opens, what it began is finished as begun, and that version may go on."""
    wish = bench.wish(again=606 + enable, enable=enable, budget=Decimal("33.5"))
    begun_at = NOW.isoformat(timespec="microseconds")
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as before:
        before.executescript(BEFORE)
        before.execute(
            "insert into duplications values"
            " (?, ?, ?, ?, null, ?, ?, '33.5', null, null, 'started', null, null, ?, null)",
            (
                wish.key,
                wish.advertiser_id,
                wish.ad_id,
                wish.campaign_id,
                wish.again,
                enable,
                NOW.isoformat(timespec="microseconds"),
            ),
        )
        before.commit()
        entry = bench.carry_out(wish, approval=NO_APPROVAL)
        assert (entry.status, entry.enable, entry.approved_how, entry.approved_by) == (DONE, enable, None, None)
        (group,), (ad,) = bench.made(wish)
        assert group["operation_status"] == ad["operation_status"] == ("ENABLE" if enable else "DISABLE")
        before.execute(
            "insert into duplications (duplication_key, advertiser_id, ad_id, campaign_id, again, enable, status,"
            " started_at) values ('k', '1', '2', '3', 0, 0, 'started', ?)",
            (begun_at,),
        )
        before.commit()
    with bench.connection.open() as duplicator:
        stands = sorted(one.status for one in duplicator.ledger.entries())
    assert stands == [DONE, "started"]


def test_who_and_how_is_recorded(bench: DuplicationHarness) -> None:
    """The ledger has who approved what, how and when."""
    entry = bench.carry_out(bench.wish(again=608))
    assert (entry.approved_how, entry.approved_by, entry.approval_id) == (
        BY_TERMINAL,
        APPROVED_ON_TERMINAL.by,
        None,
    )
    assert entry.approved_at
    assert entry.approved_at <= entry.started_at + timedelta(seconds=5)
