"""Tests of lease takeover: a delayed process neither creates nor overwrites anything after another took over."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.duplication.formatting import format_dry_run
from tiktok_assets.duplication.lease import LeaseLostError
from tiktok_assets.duplication.models import DONE, REFUSED, STARTED, DuplicationRequest
from tiktok_assets.storage.state import State, leases
from tiktok_assets_tests.duplication.harness import (
    POLICY,
    DuplicationHarness,
    SimulatedKill,
    call_once_at,
    duplicate_until,
    simulate_kill,
)


def expire_lease(harness: DuplicationHarness) -> None:
    """Expire the lease, so that another process can take over."""
    state = State(harness.config.state_url)
    with state.transaction() as connection:
        connection.execute(sa.update(leases).values(until=datetime.now(UTC) - timedelta(seconds=1)))
    state.close()


def duplicate_with_takeover(
    harness: DuplicationHarness, request: DuplicationRequest, point: str, by: Callable[[], object]
) -> None:
    """Delay a process at a checkpoint while another takes over; it continues and finds its lease lost."""

    def take_over_now() -> None:
        expire_lease(harness)
        by()

    with harness.config.open(call_once_at(point, take_over_now)) as duplicator, pytest.raises(LeaseLostError):
        duplicator.duplicate(request)


def count_created(harness: DuplicationHarness, request: DuplicationRequest) -> list[int]:
    """Count the created ad groups and ads in the ground truth."""
    return [len(rows) for rows in harness.created_objects(request)]


AFTER_READING = "request: after reading the snapshot"


def test_delayed_plan_does_not_overwrite_sent_requests(harness: DuplicationHarness) -> None:
    """A process delayed while reading does not overwrite the plan of another that took over and was killed."""
    request = harness.request(again=200, ad_group_id=harness.scaling_ad_group.id)
    duplicate_with_takeover(
        harness, request, AFTER_READING, lambda: duplicate_until(harness, request, "ledger: before created ad")
    )
    assert harness.duplicate(request).status == DONE
    assert count_created(harness, request) == [0, 1]


def test_delayed_restart_does_not_change_the_entry(harness: DuplicationHarness) -> None:
    """A process delayed before it restarts a refused entry changes nothing of what another started since."""
    request = harness.request(again=201)
    harness.host.inject_fault("code", path="adgroup/create", code=40002, message="not now")
    with pytest.raises(RefusedError):
        harness.duplicate(request)
    bigger = replace(request, budget=Decimal(70), enable=True)
    duplicate_with_takeover(harness, bigger, "ledger: before restart", lambda: harness.duplicate(request))
    (group,), (ad,) = harness.created_objects(request)
    assert (group["operation_status"], ad["operation_status"]) == ("DISABLE", "DISABLE")
    assert harness.duplicate(request).enable is False


def test_delayed_error_does_not_reset_another_request(harness: DuplicationHarness) -> None:
    """A delayed response "not created" does not reset the request of another process."""
    request = harness.request(again=202)
    harness.host.inject_fault("code", path="ad/create", code=40202)
    after = "request: after ad/create/"
    duplicate_with_takeover(harness, request, after, lambda: duplicate_until(harness, request, after))
    assert harness.duplicate(request).status == DONE
    assert count_created(harness, request) == [1, 1]


def test_delayed_refusal_does_not_refuse_another_process(harness: DuplicationHarness) -> None:
    """A delayed refusal neither refuses what another process creates nor frees its added budget."""
    request = harness.request(again=203, budget=Decimal(60))
    small = replace(request, budget=Decimal(5))
    duplicate_with_takeover(harness, small, "ledger: before refuse", lambda: harness.duplicate(request))
    entry = harness.duplicate(request)
    assert (entry.status, entry.added_budget, entry.reason) == (DONE, Decimal(60), None)


def test_request_recorded_long_ago_is_not_sent(harness: DuplicationHarness) -> None:
    """A process delayed between recording and sending a request sends nothing."""
    request = harness.request(again=204)
    short = replace(harness.config, policy=replace(POLICY, max_send_delay_seconds=0.3))

    def take_over() -> None:
        expire_lease(harness)
        harness.duplicate(request)

    with (
        short.open(call_once_at("request: before ad/create/", take_over)) as duplicator,
        pytest.raises(UnfinishedError, match="delayed"),
    ):
        duplicator.duplicate(request)
    assert harness.duplicate(request).status == DONE
    assert count_created(harness, request) == [1, 1]


@pytest.mark.parametrize("jump", [timedelta(hours=1), timedelta(hours=-1)], ids=["ahead", "behind"])
def test_clock_jump_does_not_shorten_the_wait(harness: DuplicationHarness, jump: timedelta) -> None:
    """Another machine's clock, or one that was set, does not make a pending request look settled."""
    request = harness.request(again=205 + (jump < timedelta(0)))
    harness.host.inject_fault("commit_late", path="ad/create", seconds=0.3)
    duplicate_until(harness, request, "request: after ad/create/")
    with harness.config.open() as duplicator:
        jumped = replace(duplicator.ledger, now=lambda: datetime.now(UTC) + jump)
        assert replace(duplicator, ledger=jumped).duplicate(request).status == DONE
    time.sleep(0.3)
    assert count_created(harness, request) == [1, 1]


def test_stale_lease_in_the_future_is_taken(harness: DuplicationHarness) -> None:
    """A lease left by a clock that was ahead is taken once it was not renewed for its full duration."""
    request = harness.request(again=207)
    state = State(harness.config.state_url)
    with state.transaction() as connection:
        row = {"name": f"duplicate:{request.advertiser_id}", "owner": "gone"}
        connection.execute(sa.insert(leases).values(**row, until=datetime.now(UTC) + timedelta(days=300)))
    state.close()
    quick = replace(harness.config.policy, lease_seconds=0.5, lease_wait_seconds=3.0)
    assert harness.duplicate(request, policy=quick).status == DONE


def test_budget_limit_counts_from_the_last_activity(harness: DuplicationHarness) -> None:
    """An old request that is restarted or sent only now counts against today's limit."""
    long_ago = datetime.now(UTC) - timedelta(days=3)
    anew, late = harness.request(again=208, budget=Decimal(5)), harness.request(again=209, budget=Decimal(60))
    with harness.config.open() as duplicator:
        then = replace(duplicator, ledger=replace(duplicator.ledger, now=lambda: long_ago))
        with pytest.raises(RefusedError):
            then.duplicate(anew)
    with harness.config.open(call_once_at("ledger: before sending ad_group", simulate_kill)) as duplicator:
        then = replace(duplicator, ledger=replace(duplicator.ledger, now=lambda: long_ago))
        with pytest.raises(SimulatedKill):
            then.duplicate(late)
    limit = Decimal(100)
    assert harness.duplicate(replace(anew, budget=Decimal(50)), max_added_budget=limit).status == DONE
    with pytest.raises(RefusedError, match=r"it would add 60 USD to 50 "):
        harness.duplicate(late, max_added_budget=limit)
    assert count_created(harness, late) == [0, 0]
    harness.duplicate(late, max_added_budget=Decimal(110))
    with pytest.raises(RefusedError, match=r"it would add 50 USD to 110 "):
        harness.duplicate(harness.request(again=210, budget=Decimal(50)), max_added_budget=Decimal(150))


def test_budget_limit_counts_what_may_still_be_created(harness: DuplicationHarness) -> None:
    """A request sent days ago and not finished counts, since finishing it creates the ad group without a check."""
    long_ago = datetime.now(UTC) - timedelta(days=3)
    late, other = (harness.request(again=number, budget=Decimal(60)) for number in (231, 232))
    with harness.config.open(call_once_at("ledger: after sending ad_group", simulate_kill)) as duplicator:
        then = replace(duplicator, ledger=replace(duplicator.ledger, now=lambda: long_ago))
        with pytest.raises(SimulatedKill):
            then.duplicate(late)
    with pytest.raises(RefusedError, match=r"it would add 60 USD to 60 "):
        harness.duplicate(other, max_added_budget=Decimal(100))
    assert harness.duplicate(late, max_added_budget=Decimal(100)).status == DONE
    assert (count_created(harness, late), count_created(harness, other)) == ([1, 1], [0, 0])


def test_partial_duplication_is_not_finished_with_other_options(harness: DuplicationHarness) -> None:
    """A partial duplication started with `enable` or another budget is not finished for a request with less."""
    request = harness.request(again=211)
    started = replace(request, enable=True, budget=Decimal(70))
    duplicate_until(harness, started, "ledger: before sending ad")
    sent = len(harness.write_requests)
    with pytest.raises(RefusedError, match=r"started with --enable.*--enable"):
        harness.duplicate(request)
    with pytest.raises(RefusedError, match=r"started with a budget of 70"):
        harness.duplicate(replace(request, enable=True, budget=Decimal(30)))
    assert len(harness.write_requests) == sent
    with harness.config.open() as duplicator:
        entry = duplicator.ledger.find(request.key)
        assert entry
        assert entry.status == STARTED != REFUSED
        assert "switched on" in format_dry_run(duplicator.dry_run(request))
    assert harness.duplicate(entry.request).status == DONE
    assert count_created(harness, request) == [1, 1]
