"""Tests of approvals: a code allows one duplication as it was issued, within seven days, and nothing else."""

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
from tiktok_assets_tests.duplication.harness import (
    APPROVED_ON_TERMINAL,
    DuplicationHarness,
    DuplicatorConfig,
    duplicate_until,
)

NOW = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)
ALERT = "9f2c1b7a33d04e15"

IDS = st.sampled_from(["1", "2", "17001"])
REQUESTS = st.builds(
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
def open_state(folder: Path) -> Iterator[State]:
    """Open a state database and close it in the end."""
    with closing(State(f"sqlite:///{folder}/state.sqlite")) as state:
        yield state


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """Yield an empty state database."""
    with open_state(tmp_path) as one:
        yield one


def issue_text(state: State, request: DuplicationRequest, now: datetime = NOW, alert_id: str = ALERT) -> str:
    """Issue a code and return its text."""
    with state.transaction() as connection:
        return issue_code(connection, request, alert_id, now).text


def build_approval(harness: DuplicationHarness, request: DuplicationRequest) -> Approval:
    """Build the approval of a launch with the code issued for a request."""
    with closing(State(harness.config.state_url)) as state:
        return Approval("run 1", BY_CODE, issue_text(state, request, datetime.now(UTC)))


def decide(
    state: State, request: DuplicationRequest, code: str, now: datetime = NOW, by: str = "run 1"
) -> Decision:
    """Decide on a code."""
    with state.transaction() as connection:
        return decide_approval(connection, request, Approval(by, BY_CODE, code), now)


def count_rows(state: State, table: sa.Table) -> int:
    """Count the rows of a table."""
    with state.transaction() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS, REQUESTS)
def test_code_is_bound_to_its_request(
    state: State, request: DuplicationRequest, other: DuplicationRequest
) -> None:
    """Every changed account, ad, campaign, ad group, budget or number is named and refused."""
    code = issue_text(state, request)
    differences = [text for name, text in CHANGES.items() if getattr(request, name) != getattr(other, name)]
    decision = decide(state, other, code)
    assert bool(decision.refusal) is bool(differences)
    assert all(text in decision.refusal for text in differences)
    assert code not in decision.refusal
    assert decide(state, request, code).columns["approved_how"] == BY_CODE
    assert count_rows(state, wrong_codes) == 0


@pytest.mark.parametrize(
    "rewrite",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: f"  {code.replace('-', ' ')}\n",
        lambda code: code.replace("O", "0").replace("I", "1").replace("B", "8"),
    ],
    ids=["small", "without dashes", "with spaces", "misread digits"],
)
def test_code_can_be_typed_by_hand(state: State, rewrite: object) -> None:
    """Case, spaces, dashes and misread digits make no difference."""
    request = DuplicationRequest("1", "2", "3", budget=Decimal("50.00"))
    code = issue_text(state, request)
    assert callable(rewrite)
    assert decide(state, replace(request, budget=Decimal(50)), rewrite(code)).refusal == ""


def test_code_expires_after_seven_days(state: State) -> None:
    """A code is valid for seven days; then the message has the expiry and the command to use."""
    request = DuplicationRequest("1", "2", "3", "4", Decimal("49.90"), 1)
    code = issue_text(state, request)
    assert decide(state, request, code, NOW + CODE_LIFETIME - timedelta(seconds=1)).refusal == ""
    refusal = decide(state, request, code, NOW + CODE_LIFETIME).refusal
    assert "expired on 2026-12-04 12:30 UTC" in refusal
    command = "duplicate 2 --to 3 --advertiser 1 --ad-group 4 --budget 49.90 --again 1 --live"
    assert f"`tiktok-assets {command}`" in refusal


def test_modified_record_is_no_approval(state: State) -> None:
    """Changing an expiry or a budget in the database without the key makes no code valid for it."""
    request = DuplicationRequest("1", "2", "3", budget=Decimal(50))
    code = issue_text(state, request)
    for change in ({"expires_at": NOW + timedelta(days=300)}, {"budget": Decimal(5000)}, {"alert_id": "another"}):
        with state.transaction() as connection:
            connection.execute(sa.update(approvals).values(**change))
        requested = replace(request, budget=Decimal(5000)) if "budget" in change else request
        assert "record of this approval code was modified" in decide(state, requested, code).refusal
        with state.transaction() as connection:
            connection.execute(sa.delete(approvals))
        assert issue_text(state, request) == code


def test_guessing_is_limited(state: State) -> None:
    """After twenty wrong codes no code is accepted for an hour, a right one neither."""
    request = DuplicationRequest("1", "2", "3")
    code = issue_text(state, request)
    for number in range(MAX_WRONG_CODES):
        decision = decide(state, request, f"{number:024d}", NOW + timedelta(minutes=number))
        assert "was not issued here" in decision.refusal
    last = NOW + timedelta(minutes=MAX_WRONG_CODES)
    assert "so none is accepted before 13:30 UTC" in decide(state, request, code, last).refusal
    assert count_rows(state, wrong_codes) == MAX_WRONG_CODES
    with state.transaction() as connection:
        person = decide_approval(connection, request, Approval("ann@workstation", BY_TERMINAL), last)
    assert person.refusal == ""
    assert decide(state, request, code, NOW + WRONG_CODE_WINDOW).refusal == ""
    assert count_rows(state, wrong_codes) == MAX_WRONG_CODES - 1


@pytest.mark.parametrize("code", ["", "x" * 10**6, "'; drop table keys; --", "\x00", "🙂" * 40])
def test_any_text_is_handled(state: State, code: str) -> None:
    """Any text that is no code is refused in one sentence that does not repeat it."""
    refusal = decide(state, DuplicationRequest("1", "2", "3"), code).refusal
    assert "was not issued here" in refusal
    assert len(refusal) < 400
    assert not code or code not in refusal


def test_state_does_not_contain_the_code(state: State, tmp_path: Path) -> None:
    """Neither the database nor any representation contains the code."""
    request = DuplicationRequest("1", "2", "3")
    with state.transaction() as connection:
        code = issue_code(connection, request, ALERT, NOW)
    approval = Approval("run 1", BY_CODE, code.text)
    bare = code.text.replace("-", "")
    assert len(bare) == 24
    for shown in (repr(code), repr(approval), str(approval), repr(decide(state, request, code.text))):
        assert code.text not in shown
        assert bare not in shown
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert code.text.encode() not in stored
    assert bare.encode() not in stored


def test_all_hosts_of_a_state_accept_its_codes(tmp_path: Path) -> None:
    """Concurrent first users create one key, so each accepts the codes of the others."""
    requests = [DuplicationRequest("1", str(number), "3") for number in range(8)]

    def issue(request: DuplicationRequest) -> str:
        with open_state(tmp_path) as own_state:
            return issue_text(own_state, request)

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(issue, requests))
    with open_state(tmp_path) as state:
        assert [decide(state, request, code).refusal for request, code in zip(requests, codes, strict=True)] == [
            ""
        ] * 8
    with open_state(tmp_path / "elsewhere") as other:
        assert "was not issued here" in decide(other, requests[0], codes[0]).refusal


def test_run_code_of_execute_mode(state: State) -> None:
    """A run's code allows one duplication, switched off, for hours, in mode `execute` only."""
    request = DuplicationRequest("1", "2", "3", flag_id=ALERT)
    with state.transaction() as connection:
        codes = {issue_run_code(connection, request, NOW + timedelta(minutes=late)).text for late in range(30)}
        later = issue_run_code(connection, request, NOW + timedelta(hours=1)).text
    (code,) = codes  # the sensor may be evaluated twice for one run
    assert later != code
    launch = Approval("run 1", BY_CODE, code, may_enable=True, may_execute=True)

    def refusal_of(requested: DuplicationRequest, approval: Approval = launch, now: datetime = NOW) -> str:
        with state.transaction() as connection:
            return decide_approval(connection, requested, approval, now).refusal

    for name, text in CHANGES.items():
        other = {"again": 1, "budget": Decimal(50)}.get(name, "9")
        assert text in refusal_of(replace(request, **{name: other}))  # type: ignore[arg-type] # each of its type
    assert "stays switched off" in refusal_of(replace(request, enable=True))
    assert "in that mode only" in refusal_of(request, replace(launch, may_execute=False))
    assert "needs the approval code" in refusal_of(request, replace(launch, method=None, code=""))
    assert "needs the approval code" in refusal_of(request, replace(launch, method=BY_EXECUTE_MODE, code=""))
    assert "expired" in refusal_of(request, now=NOW + MIN_RUN_CODE_LIFETIME + timedelta(hours=1))
    with state.transaction() as connection:
        assert decide_approval(connection, request, launch, NOW).columns["approved_how"] == BY_EXECUTE_MODE
        used = sa.select(approvals).where(approvals.c.used_for.is_not(None))
        row = connection.execute(used).mappings().one()
    assert (row["alert_id"], row["used_for"], row["used_by"]) == (BY_EXECUTE_MODE, request.key, "run 1")
    assert refusal_of(request, replace(launch, code=later)) == ""  # the next attempt of the same duplication


@pytest.mark.parametrize("method", [BY_CODE, BY_TERMINAL, BY_YES_OPTION])
def test_enable_needs_a_setting(harness: DuplicationHarness, method: object) -> None:
    """Whatever the approval, `enable` without the setting sends nothing, and the message names the setting."""
    request = harness.request(again=600, enable=True)
    approval = replace(build_approval(harness, request), method=method, may_enable=False)  # type: ignore[arg-type] # one of the methods
    with pytest.raises(NotApprovedError, match="TIKTOK_SCALING_ENABLE=allow"):
        harness.duplicate(request, approval=approval)
    assert harness.host.requests == []
    with harness.config.open() as duplicator:
        refused = replace(duplicator, approval=NO_APPROVAL).dry_run(request)
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
def test_launch_with_a_changed_field_sends_nothing(
    harness: DuplicationHarness, change: dict[str, object], reason: str
) -> None:
    """With an alert's code and one changed field nothing is read, sent or started."""
    request = harness.request(again=602)
    approval = build_approval(harness, request)
    with pytest.raises(NotApprovedError, match=reason):
        harness.duplicate(harness.request(**{"again": 602, **change}), approval=approval)
    assert harness.host.requests == []
    with closing(State(harness.config.state_url)) as state:
        assert count_rows(state, duplications) == 0


def test_only_a_started_duplication_needs_no_approval(harness: DuplicationHarness) -> None:
    """Without approval nothing starts; a started and killed duplication is finished without one."""
    request = harness.request(again=603)
    with pytest.raises(NotApprovedError, match="needs the approval code of its alert"):
        harness.duplicate(request, approval=NO_APPROVAL)
    assert harness.host.requests == []
    started = replace(harness, config=replace(harness.config, approval=build_approval(harness, request)))
    duplicate_until(started, request, "ledger: after start")
    for other in ({"budget": Decimal(500)}, {"enable": True}):  # other options need an approval of their own
        with pytest.raises(NotApprovedError):
            harness.duplicate(replace(request, **other), approval=NO_APPROVAL)
    duplicate_until(
        replace(harness, config=replace(harness.config, approval=NO_APPROVAL)), request, "ledger: after plan"
    )
    entry = harness.duplicate(request, approval=NO_APPROVAL)
    assert (entry.status, entry.approved_how, entry.approved_by) == (DONE, BY_CODE, "run 1")
    assert entry.approved_at
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]
    # A finished duplication is returned without approval.
    sent = len(harness.write_requests)
    assert harness.duplicate(request, approval=NO_APPROVAL) == entry
    assert len(harness.write_requests) == sent


def test_refused_duplication_restarts_with_its_code_only(harness: DuplicationHarness) -> None:
    """After a refusal the same code is valid for the same duplication, and no code is not enough."""
    request = harness.request(again=604)
    approval = build_approval(harness, request)
    harness.host.inject_fault("code", path="ad/create", code=40002, message="not now")
    with pytest.raises(RefusedError, match="not now"):
        harness.duplicate(request, approval=approval)
    sent = len(harness.write_requests)
    with pytest.raises(NotApprovedError):
        harness.duplicate(request, approval=NO_APPROVAL)
    with harness.config.open() as duplicator:
        entry = duplicator.ledger.find(request.key)
    assert entry
    assert entry.status == REFUSED
    assert len(harness.write_requests) == sent
    assert harness.duplicate(request, approval=approval).status == DONE
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def duplicate_in_process(config: DuplicatorConfig, request: DuplicationRequest) -> None:
    """Duplicate in this process."""
    with config.open() as duplicator:
        duplicator.duplicate(request)


@pytest.mark.slow
def test_two_processes_with_one_code_create_one_copy(harness: DuplicationHarness) -> None:
    """Two concurrent processes with one code create one copy."""
    request = harness.request(again=605)
    config = replace(harness.config, approval=build_approval(harness, request))
    context = get_context("forkserver")
    processes = [context.Process(target=duplicate_in_process, args=(config, request)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]
    with closing(State(harness.config.state_url)) as state:
        assert count_rows(state, approvals) == count_rows(state, duplications) == 1


EARLIER_SCHEMA = """
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
"""The two tables of the ledger as the version before approvals created them."""


@pytest.mark.parametrize("enable", [False, True])
def test_duplication_of_an_earlier_version_is_finished(
    harness: DuplicationHarness, tmp_path: Path, *, enable: bool
) -> None:
    """A database of the version before approvals is opened, and what it started is finished as it was started."""
    request = harness.request(again=606 + enable, enable=enable, budget=Decimal("33.5"))
    started_at = NOW.isoformat(timespec="microseconds")
    with closing(sqlite3.connect(tmp_path / "state.sqlite")) as before:
        before.executescript(EARLIER_SCHEMA)
        before.execute(
            "insert into duplications values"
            " (?, ?, ?, ?, null, ?, ?, '33.5', null, null, 'started', null, null, ?, null)",
            (
                request.key,
                request.advertiser_id,
                request.ad_id,
                request.campaign_id,
                request.again,
                enable,
                NOW.isoformat(timespec="microseconds"),
            ),
        )
        before.commit()
        entry = harness.duplicate(request, approval=NO_APPROVAL)
        assert (entry.status, entry.enable, entry.approved_how, entry.approved_by) == (DONE, enable, None, None)
        (group,), (ad,) = harness.created_objects(request)
        assert group["operation_status"] == ad["operation_status"] == ("ENABLE" if enable else "DISABLE")
        before.execute(
            "insert into duplications (duplication_key, advertiser_id, ad_id, campaign_id, again, enable, status,"
            " started_at) values ('k', '1', '2', '3', 0, 0, 'started', ?)",
            (started_at,),
        )
        before.commit()
    with harness.config.open() as duplicator:
        statuses = sorted(one.status for one in duplicator.ledger.entries())
    assert statuses == [DONE, "started"]


def test_approver_and_method_are_recorded(harness: DuplicationHarness) -> None:
    """The ledger records who approved, how and when."""
    entry = harness.duplicate(harness.request(again=608))
    assert (entry.approved_how, entry.approved_by, entry.approval_id) == (
        BY_TERMINAL,
        APPROVED_ON_TERMINAL.approved_by,
        None,
    )
    assert entry.approved_at
    assert entry.approved_at <= entry.started_at + timedelta(seconds=5)
