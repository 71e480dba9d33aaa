"""Tests of leader changes: one row per change, whatever is replayed, restated or read out of order."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tiktok_assets.storage.state import top_spender_changes
from tiktok_assets.top_spenders.leader_changes import record_leader_changes, to_json_values
from tiktok_assets_tests.top_spenders.ranked_account import START, build_ranking, count_rows, open_account

leaders = st.lists(st.sampled_from("ABC"), min_size=1, max_size=8)
"""The leader in each report."""

reports = st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ABC")), max_size=10)
"""Reports by the hour they were read in, in any order, some twice."""


def build_leading_spends(ad_id: str) -> dict[str, int]:
    """Build a report in which this ad leads."""
    return {**dict.fromkeys("ABC", 10), ad_id: 20}


def list_changes(sequence: Sequence[str]) -> list[tuple[str, str | None]]:
    """Return each leader that differs from the one before it, with that one."""
    previous = [None, *sequence]
    return [(new, old) for old, new in zip(previous, sequence, strict=False) if new != old]


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(leaders)
def test_changes_match_the_sequence_of_leaders(tmp_path: Path, sequence: list[str]) -> None:
    """Reports in order give one row per leader change, with the previous leader."""
    with open_account(tmp_path, in_memory=True) as account:
        for leader in sequence:
            account.read_reports(build_leading_spends(leader))
        assert account.changes == list_changes(sequence)


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(leaders)
def test_replay_adds_nothing(tmp_path: Path, sequence: list[str]) -> None:
    """Reading any report of the history again changes no row."""
    with open_account(tmp_path, in_memory=True) as account:
        history = []
        for leader in sequence:
            account.read_reports(build_leading_spends(leader))
            history.append((build_leading_spends(leader), account.now))
            before = account.changes
            for report, at in history:
                record_leader_changes(account.state, build_ranking(report, at))
            assert account.changes == before


@pytest.mark.slow
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports)
def test_reports_out_of_order_only_append(tmp_path: Path, sequence: list[tuple[int, str]]) -> None:
    """In whatever order reports come, rows are only added, each with another leader than the last."""
    with open_account(tmp_path, in_memory=True) as account:
        known: list[tuple[str, str | None]] = []
        for hour, leader in sequence:
            account.read_reports(build_leading_spends(leader), at=START + timedelta(hours=hour))
            assert account.changes[: len(known)] == known
            known = account.changes
        assert [old for _, old in known] == [None, *(new for new, _ in known)][: len(known)]
        assert all(new != old for new, old in known)


def test_old_report_adds_nothing(tmp_path: Path) -> None:
    """A report older than the newest change adds no row, and its leader has no `leads_since`."""
    with open_account(tmp_path) as account:
        account.read_reports(build_leading_spends("A"))
        account.read_reports(build_leading_spends("B"))
        old = record_leader_changes(
            account.state, build_ranking(build_leading_spends("A"), account.now - timedelta(minutes=1))
        )
        assert account.changes == [("A", None), ("B", "A")]
        assert old.get_column("leads_since").to_list() == [None]


def test_leads_since_is_the_newest_change(tmp_path: Path) -> None:
    """`leads_since` is the time of the leader's newest change, and stays while it leads."""
    with open_account(tmp_path) as account:
        instants = []
        for leader in "AABBA":
            account.read_reports(build_leading_spends(leader))
            ranking = record_leader_changes(
                account.state, build_ranking(build_leading_spends(leader), account.now)
            )
            instants.append(ranking.get_column("leads_since").item())
        hours = [int((at - START) / timedelta(hours=1)) for at in instants]
        assert hours == [1, 1, 3, 3, 5]


def test_facts_keep_exact_numbers_as_text(tmp_path: Path) -> None:
    """The facts of a change are the ranking's row, with amounts and instants as text."""
    with open_account(tmp_path) as account:
        spend = "99999999999999.9998"
        account.read_reports({"A": spend, "B": "0.0001"})
        with account.state.transaction() as connection:
            facts = connection.scalar(sa.select(top_spender_changes.c.facts))
        assert facts
        assert (facts["spend"], facts["runner_up_spend"]) == (spend, "0.0001")
        assert facts["fetched_at"] == account.now.isoformat()
        assert facts == to_json_values(build_ranking({"A": spend, "B": "0.0001"}, account.now).to_dicts()[0])


def test_campaigns_are_independent(tmp_path: Path) -> None:
    """Each campaign has its own baseline and its own changes."""
    with open_account(tmp_path) as account:
        account.read_reports(build_leading_spends("A"), build_leading_spends("B"))
        account.read_reports(build_leading_spends("A"), build_leading_spends("C"))
        assert account.changes == [("A", None), ("B", None), ("C", "B")]


@pytest.mark.parametrize("spends", [{}, {"A": 0}])
def test_report_without_spend_adds_nothing(tmp_path: Path, spends: dict[str, int]) -> None:
    """Without spend there is no row, and the first ad to spend later is the baseline."""
    with open_account(tmp_path) as account:
        account.read_reports(spends)
        assert count_rows(account.state, top_spender_changes) == 0
        account.read_reports({"A": 1})
        assert account.changes == [("A", None)]
