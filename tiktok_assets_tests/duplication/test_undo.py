"""Tests of the undo: what it deletes, switches off and keeps, and that a kill at any point changes nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.executor import UnfinishedError
from tiktok_assets.duplication.lease import LeaseError
from tiktok_assets.duplication.ledger import Checkpoint, ignore_checkpoint
from tiktok_assets.duplication.models import AD_GROUP_STEP, DONE, DuplicationRequest, build_marker
from tiktok_assets.duplication.undo import Undoer, UnknownDuplicationError
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import (
    SMART_PLUS_PLAN,
    DuplicationHarness,
    SimulatedKill,
    call_once_at,
    duplicate_until,
    open_harness,
    simulate_kill,
)
from tiktok_assets_tests.duplication.kills import CheckpointTrace, expire_leases

NUMBERS = count(1)
BY = "ann@workstation"
TARGETS = ("manual", "Smart+")


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    """Run one world with scaling campaigns of both kinds."""
    with Host.run(SMART_PLUS_PLAN) as running:
        yield running


@pytest.fixture
def harness(host: Host, tmp_path: Path) -> Iterator[DuplicationHarness]:
    """Open a harness with a ledger of its own."""
    with open_harness(host, tmp_path) as opened:
        yield opened


@contextmanager
def open_undoer(harness: DuplicationHarness, checkpoint: Checkpoint = ignore_checkpoint) -> Iterator[Undoer]:
    """Open an undoer with connections of its own."""
    with harness.config.open(checkpoint) as opened:
        yield Undoer(opened.client, opened.fetcher, opened.ledger, opened.policy)


def build_request(harness: DuplicationHarness, target: str) -> DuplicationRequest:
    """Build a request for another copy of the winner in a campaign of a kind."""
    campaign = harness.scaling_campaign if target == "manual" else harness.smart_plus_campaign
    return harness.request(campaign_id=campaign.id, again=next(NUMBERS))


def statuses(harness: DuplicationHarness, request: DuplicationRequest) -> list[list[str]]:
    """Return the statuses of the created ad groups, and of the created ads, from the ground truth."""
    return [[_status(row) for row in rows] for rows in harness.created_objects(request)]


def _status(row: dict[str, Any]) -> str:
    is_deleted = "DELETE" in str(row["secondary_status"])
    return "DELETE" if is_deleted else str(row["operation_status"])


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_undo_killed_at_any_checkpoint_ends_the_same(harness: DuplicationHarness, target: str) -> None:
    """Killed at every checkpoint and repeated, an undo has deleted the copy, and the ledger says so."""
    traced = build_request(harness, target)
    harness.duplicate(traced)
    trace = CheckpointTrace()
    with open_undoer(harness, trace) as undoer:
        undoer.undo(traced.key, BY)
    assert {"ledger: before start undo", "ledger: within start undo", "ledger: after finish undo"} <= set(
        trace.names
    )
    assert sum(name.startswith("request: ") for name in trace.names) >= 4
    for point in trace.names:
        request = build_request(harness, target)
        harness.duplicate(request)
        with open_undoer(harness, call_once_at(point, simulate_kill)) as undoer, pytest.raises(SimulatedKill):
            undoer.undo(request.key, BY)
        expire_leases(harness.config.state_url)
        preview = harness.undo(request)
        assert statuses(harness, request) == [["DELETE"], ["DELETE"]], point
        assert preview.entry.undone_at, point
        assert str(preview.entry.undo_result).count("deleted") == 2, point


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("step", ["ad_group", "ad"])
def test_undo_looks_for_what_was_sent_with_unknown_outcome(
    harness: DuplicationHarness, target: str, step: str
) -> None:
    """An undo finds and deletes an object whose creation was sent and never confirmed."""
    request = build_request(harness, target)
    duplicate_until(harness, request, f"ledger: before created {step}")
    expire_leases(harness.config.state_url)
    harness.undo(request)
    created = statuses(harness, request)
    assert created == [["DELETE"], ["DELETE"] if step == "ad" else []]


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_undone_duplication_creates_nothing_when_repeated(harness: DuplicationHarness, target: str) -> None:
    """A duplication that was undone, finished before or not, is refused when it is started again."""
    for point in (None, "ledger: after sending ad_group", "ledger: after created ad_group"):
        request = build_request(harness, target)
        if point:
            duplicate_until(harness, request, point)
            expire_leases(harness.config.state_url)
        else:
            harness.duplicate(request)
        harness.undo(request)
        before = statuses(harness, request)
        with pytest.raises(RefusedError, match="request another copy with --again"):
            harness.duplicate(request)
        assert statuses(harness, request) == before
    again = build_request(harness, target)
    assert harness.duplicate(again).status == DONE


def test_undo_is_done_once(harness: DuplicationHarness) -> None:
    """An undo that is done sends no write when it is repeated."""
    request = build_request(harness, "manual")
    harness.duplicate(request)
    first = harness.undo(request)
    sent = len(harness.write_requests)
    assert harness.undo(request).entry == first.entry
    assert len(harness.write_requests) == sent


def test_ad_group_with_another_ad_is_kept(harness: DuplicationHarness) -> None:
    """An ad group in which another ad was created is kept as it is; only the own ad is deleted."""
    request = build_request(harness, "manual")
    ad_group_id = harness.duplicate(request).created_id(AD_GROUP_STEP)
    other = harness.duplicate(harness.request(ad_group_id=ad_group_id, again=next(NUMBERS)))
    assert other.status == DONE
    preview = harness.undo(request)
    assert statuses(harness, request) == [["DISABLE"], ["DELETE"]]
    assert f"ad group {ad_group_id} kept" in str(preview.entry.undo_result)


def test_undo_of_an_unknown_key_names_it(harness: DuplicationHarness) -> None:
    """The undo of a key that the ledger does not have names the key and sends nothing."""
    with open_undoer(harness) as undoer, pytest.raises(UnknownDuplicationError, match="no duplication nokey"):
        undoer.undo("nokey", BY)
    assert harness.host.requests == []


def test_undo_waits_for_the_lease(harness: DuplicationHarness) -> None:
    """While another process works on the account, an undo changes nothing and says so."""
    request = build_request(harness, "manual")
    harness.duplicate(request)
    with (
        open_undoer(harness) as holder,
        holder.ledger.lease(request.advertiser_id, seconds=60, wait_seconds=0),
        open_undoer(harness) as undoer,
        pytest.raises(LeaseError),
    ):
        replace(undoer, policy=replace(undoer.policy, lease_wait_seconds=0.1)).undo(request.key, BY)
    assert statuses(harness, request) == [["DISABLE"], ["DISABLE"]]


def test_refused_change_is_reported_and_can_be_repeated(harness: DuplicationHarness) -> None:
    """If TikTok refuses a change, the undo says of which object, stays open, and ends when it is repeated."""
    request = build_request(harness, "manual")
    harness.duplicate(request)
    harness.host.inject_fault(
        kind="code", code=40002, path="ad/status/update", advertiser_id=request.advertiser_id
    )
    with pytest.raises(UnfinishedError, match="TikTok refuses to delete ad "):
        harness.undo(request)
    with open_undoer(harness) as undoer:
        assert undoer.preview(request.key).entry.undone_at is None
    assert harness.undo(request).entry.undone_at
    assert statuses(harness, request) == [["DELETE"], ["DELETE"]]


@pytest.mark.parametrize("target", TARGETS)
def test_what_has_spend_is_only_switched_off(harness: DuplicationHarness, target: str) -> None:
    """A copy that was switched on and has spend is switched off and not deleted, and the result says so."""
    request = build_request(harness, target)
    harness.duplicate(request)
    owner = harness.owner
    for one in (*owner.ad_groups, *owner.ads, *owner.smart_plus_ads):
        if build_marker(request.key) in one.name:
            one.status_changes.append((one.created, True))
    harness.host.advance(days=3)
    preview = harness.undo(request)
    assert all(one.spend > 0 for one in preview.objects), preview
    assert statuses(harness, request) == [["DISABLE"], ["DISABLE"]]
    assert str(preview.entry.undo_result).count("switched off") == 2


@pytest.mark.parametrize("kind", ["cut_before", "commit_then_cut"])
@pytest.mark.parametrize("target", TARGETS)
def test_lost_answer_to_a_change_is_looked_up(harness: DuplicationHarness, target: str, kind: str) -> None:
    """If the answer to a status change is lost, the undo reads the status and repeats the change if needed."""
    request = build_request(harness, target)
    harness.duplicate(request)
    path = "ad/status/update" if target == "manual" else "smart_plus/ad/status/update"
    harness.host.inject_fault(kind=kind, path=path, advertiser_id=request.advertiser_id)
    harness.undo(request)
    assert statuses(harness, request) == [["DELETE"], ["DELETE"]]
    assert [one.fired for one in harness.host.sandbox.state.faults.declared] == [1]
