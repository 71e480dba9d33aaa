"""Laws of the changes of leader: one row a change, whatever is replayed, restated or read out of order."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets.storage.state import top_spender_changes
from tiktok_assets.top_spenders.leader_changes import record_leader_changes, to_json_values
from tiktok_assets_tests.top_spenders.ranked_account import MORNING, build_ranking, count_rows, open_account

leaders = st.lists(st.sampled_from("ABC"), min_size=1, max_size=8)
"""Who leads at each look."""

looks = st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ABC")), max_size=10)
"""Reports by the hour they were read in, in any order, some twice."""


def won_by(ad_id: str) -> dict[str, int]:
    """A report in which this ad leads."""
    return {**dict.fromkeys("ABC", 10), ad_id: 20}


def runs_of(sequence: Sequence[str]) -> list[tuple[str, str | None]]:
    """Each leader that differs from the one before it, with that one."""
    befores = [None, *sequence]
    return [(new, old) for old, new in zip(befores, sequence, strict=False) if new != old]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(leaders)
def test_the_changes_are_the_runs_of_the_sequence(tmp_path: Path, sequence: list[str]) -> None:
    """Reports in order leave one row a change of leader: the first without a previous one, each next with it."""
    with open_account(tmp_path, in_memory=True) as account:
        for leader in sequence:
            account.look(won_by(leader))
        assert account.changes == runs_of(sequence)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(leaders)
def test_a_replay_adds_nothing(tmp_path: Path, sequence: list[str]) -> None:
    """Every report of a history, read again in any place, changes neither the rows nor what they say."""
    with open_account(tmp_path, in_memory=True) as account:
        history = []
        for leader in sequence:
            account.look(won_by(leader))
            history.append((won_by(leader), account.now))
            before = account.changes
            for report, at in history:
                record_leader_changes(account.state, build_ranking(report, at))
            assert account.changes == before


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(looks)
def test_reports_out_of_order_never_rewrite_the_past(tmp_path: Path, sequence: list[tuple[int, str]]) -> None:
    """Whatever order reports come in, rows are only added, each later than the last and with another leader."""
    with open_account(tmp_path, in_memory=True) as account:
        known: list[tuple[str, str | None]] = []
        for hour, leader in sequence:
            account.look(won_by(leader), at=MORNING + timedelta(hours=hour))
            assert account.changes[: len(known)] == known
            known = account.changes
        assert [old for _, old in known] == [None, *(new for new, _ in known)][: len(known)]
        assert all(new != old for new, old in known)


def test_an_old_report_adds_nothing_and_tells_no_date(tmp_path: Path) -> None:
    """A report older than the newest change adds no row, and its leader of old has no `leads_since`."""
    with open_account(tmp_path) as account:
        account.look(won_by("A"))
        account.look(won_by("B"))
        old = record_leader_changes(account.state, build_ranking(won_by("A"), account.now - timedelta(minutes=1)))
        assert account.changes == [("A", None), ("B", "A")]
        assert old.get_column("leads_since").to_list() == [None]


def test_it_leads_since_the_report_that_first_showed_it(tmp_path: Path) -> None:
    """`leads_since` is the instant of the leader's newest change, and stays while it leads."""
    with open_account(tmp_path) as account:
        seen = []
        for leader in "AABBA":
            account.look(won_by(leader))
            ranking = record_leader_changes(account.state, build_ranking(won_by(leader), account.now))
            seen.append(ranking.get_column("leads_since").item())
        hours = [int((at - MORNING) / timedelta(hours=1)) for at in seen]
        assert hours == [1, 1, 3, 3, 5]


def test_the_row_keeps_the_exact_numbers_as_text(tmp_path: Path) -> None:
    """The facts of a change are the row of the ranking, its amounts and instants as text."""
    with open_account(tmp_path) as account:
        spend = "99999999999999.9998"
        account.look({"A": spend, "B": "0.0001"})
        with account.state.transaction() as connection:
            facts = connection.scalar(sa.select(top_spender_changes.c.facts))
        assert facts
        assert (facts["spend"], facts["runner_up_spend"]) == (spend, "0.0001")
        assert facts["fetched_at"] == account.now.isoformat()
        assert facts == to_json_values(build_ranking({"A": spend, "B": "0.0001"}, account.now).to_dicts()[0])


def test_campaigns_do_not_mix(tmp_path: Path) -> None:
    """Each campaign has its own baseline and its own changes, in one look."""
    with open_account(tmp_path) as account:
        account.look(won_by("A"), won_by("B"))
        account.look(won_by("A"), won_by("C"))
        assert account.changes == [("A", None), ("B", None), ("C", "B")]


@pytest.mark.parametrize("spends", [{}, {"A": 0}])
def test_a_report_without_spend_changes_nothing(tmp_path: Path, spends: dict[str, int]) -> None:
    """Where nobody leads there is no row; the first to spend later is the baseline."""
    with open_account(tmp_path) as account:
        account.look(spends)
        assert count_rows(account.state, top_spender_changes) == 0
        account.look({"A": 1})
        assert account.changes == [("A", None)]
