"""Tests of duplications: what is created, that it is created once, and that nothing else is created."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from tiktok_assets.api.errors import TikTokError
from tiktok_assets.duplication.duplicator import RefusedError
from tiktok_assets.duplication.executor import ExecutionPolicy, UnfinishedError
from tiktok_assets.duplication.formatting import format_dry_run, format_status
from tiktok_assets.duplication.lease import LeaseError, LeaseLostError
from tiktok_assets.duplication.ledger import Ledger
from tiktok_assets.duplication.models import DONE, REFUSED, STARTED, build_marker
from tiktok_assets.sandbox.world.api_objects import ad_source
from tiktok_assets.storage.state import State, leases
from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.duplication.harness import POLICY, DuplicationHarness

CREATES = ("adgroup/create", "ad/create")


def test_dry_run_writes_nothing_and_live_run_sends_the_same(harness: DuplicationHarness) -> None:
    """A dry run writes nothing, and shows exactly the requests that the live run sends."""
    request = harness.request(again=1)
    with harness.config.open() as duplicator:
        dry_run = duplicator.dry_run(request)
        assert dry_run.refusals == []
        assert harness.write_requests == []
        assert duplicator.ledger.entries() == []
        entry = duplicator.duplicate(request)
    requests = [text.partition("\n") for text in dry_run.requests]
    assert [line for line, _, _ in requests] == [
        f"POST {harness.host.sandbox.base_url}/open_api/v1.3/{path}/" for path in CREATES
    ]
    group = entry.created_id("ad_group")
    bodies = [body.replace("<the id of the ad group above>", str(group)) for _, _, body in requests]
    assert bodies == [step.request for step in entry.steps]
    sent = [json.dumps(one["body"], sort_keys=True, default=str) for one in harness.write_requests]
    assert sent == [
        json.dumps(json.loads(body, parse_float=Decimal), sort_keys=True, default=str) for body in bodies
    ]
    assert all(text in format_dry_run(dry_run) for text in dry_run.requests)


def test_copy_is_switched_off_in_the_scaling_campaign(harness: DuplicationHarness) -> None:
    """The created ad group and ad are switched off and have the original's creative, audience and budget."""
    request = harness.request(again=2)
    entry = harness.duplicate(request)
    (group,), (ad,) = harness.created_objects(request)
    assert entry.status == DONE
    assert (entry.created_id("ad_group"), entry.created_id("ad")) == (group["adgroup_id"], ad["ad_id"])
    assert group["campaign_id"] == ad["campaign_id"] == harness.scaling_campaign.id
    assert [row["operation_status"] for row in (group, ad)] == ["DISABLE", "DISABLE"]
    (original,) = [
        row
        for row in harness.host.ground_truth("ads", advertiser_id=request.advertiser_id)
        if row["ad_id"] == request.ad_id
    ]
    for name in ("tiktok_item_id", "ad_text", "call_to_action", "landing_page_url", "identity_id"):
        assert ad[name] == original[name]
    assert ad["ad_name"] == f"{original['ad_name']} {build_marker(request.key)}"
    ad_groups = {
        row["adgroup_id"]: row
        for row in harness.host.ground_truth("ad_groups", advertiser_id=request.advertiser_id)
    }
    for name in ("age_groups", "location_ids", "optimization_goal", "pixel_id", "budget"):
        assert group[name] == ad_groups[original["adgroup_id"]][name]
    # The objective requires this mode for daily budgets.
    assert group["budget_mode"] == "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
    assert (entry.currency, entry.added_budget) == ("USD", group["budget"])


def test_repeated_request_does_nothing(harness: DuplicationHarness) -> None:
    """A finished duplication stays as it is, whatever options are repeated; another number is another copy."""
    request = harness.request(again=3)
    first = harness.duplicate(request)
    sent = len(harness.write_requests)
    assert harness.duplicate(replace(request, enable=True, budget=Decimal(99))) == first
    assert len(harness.write_requests) == sent
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]
    harness.duplicate(replace(request, again=4))
    assert len(harness.write_requests) == 2 * sent


def test_existing_ad_group_is_used(harness: DuplicationHarness) -> None:
    """Only the ad is created in an existing ad group, and no budget is added."""
    request = harness.request(again=5, ad_group_id=harness.scaling_ad_group.id)
    entry = harness.duplicate(request)
    groups, (ad,) = harness.created_objects(request)
    assert groups == []
    assert ad["adgroup_id"] == harness.scaling_ad_group.id
    assert ad["operation_status"] == "DISABLE"
    assert entry.added_budget == 0


def test_enable_switches_on_both_objects(harness: DuplicationHarness) -> None:
    """With `enable` both objects are switched on, and a requested budget is the copy's."""
    request = harness.request(again=6, enable=True, budget=Decimal("33.50"))
    harness.duplicate(request)
    (group,), (ad,) = harness.created_objects(request)
    assert (group["operation_status"], ad["operation_status"]) == ("ENABLE", "ENABLE")
    assert group["budget"] == Decimal("33.5")


def test_emoji_are_removed_from_names_and_refused_in_texts(harness: DuplicationHarness) -> None:
    """Emoji are removed from names; in texts they are refused, or removed with `without_emoji`."""
    ad = next(one for one in harness.owner.ads if ad_source(one) == "push" and not one.deleted)
    group = ad.ad_group
    kept = ad.name, ad.text, group.name, ad.in_review
    # In review it has no post yet that could be pulled, so its video and text are sent.
    ad.name, ad.text, group.name, ad.in_review = "❤️ Hook ✅", "Try it 🔥 now", "Broad 🇩🇪", True
    try:
        request = harness.request(again=70, ad_id=ad.id)
        with pytest.raises(RefusedError, match=r"no emoji in an ad's text.*🔥; add --without-emoji"):
            harness.duplicate(request)
        assert harness.write_requests == []
        harness.duplicate(replace(request, without_emoji=True))
        (created_group,), (created_ad,) = harness.created_objects(request)
    finally:
        ad.name, ad.text, group.name, ad.in_review = kept
    marker = build_marker(request.key)
    assert (created_ad["ad_name"], created_ad["ad_text"]) == (f"Hook {marker}", "Try it now")
    assert created_group["adgroup_name"] == f"Broad {marker}"


def test_requests_follow_the_contract(harness: DuplicationHarness) -> None:
    """Both requests follow the documented contract and contain no read-only field."""
    harness.host.sandbox.state.switches.read_only_refused = True
    request = harness.request(again=7)
    harness.duplicate(request)
    assert [sent["path"] for sent in harness.write_requests] == list(CREATES)
    for sent in harness.write_requests:
        contract = load_contract(sent["path"])
        body = json.loads(json.dumps(sent["body"], default=float))
        headers = {"Access-Token": "x", "Content-Type": "application/json"}
        path = f"/open_api/v1.3/{sent['path']}/"
        violations = find_request_violations(contract, "POST", path, query={}, body=body, headers=headers)
        assert violations == []


def test_campaign_budget_optimization_adds_no_budget(harness: DuplicationHarness) -> None:
    """Under campaign budget optimization the copy has no budget of its own, and nothing counts for the limit."""
    campaign = harness.scaling_campaign
    campaign.budget_optimize_on, campaign.budget_mode = True, "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
    try:
        request = harness.request(again=8)
        entry = harness.duplicate(request, max_added_budget=Decimal(1))
        (group,), _ = harness.created_objects(request)
    finally:
        campaign.budget_optimize_on, campaign.budget_mode = False, "BUDGET_MODE_INFINITE"
    assert entry.added_budget == 0
    assert group["budget"] == 0


def test_budget_limit_counts_the_last_24_hours(harness: DuplicationHarness) -> None:
    """The budgets added within 24 hours count for the limit, and a repeated request adds nothing."""
    first = harness.request(again=9, budget=Decimal(60))
    harness.duplicate(first, max_added_budget=Decimal(100))
    with pytest.raises(RefusedError, match=r"it would add 40\.01 USD to 60 of the last 24 hours"):
        harness.duplicate(harness.request(again=10, budget=Decimal("40.01")), max_added_budget=Decimal(100))
    harness.duplicate(harness.request(again=11, budget=Decimal(40)), max_added_budget=Decimal(100))
    assert harness.duplicate(first, max_added_budget=Decimal(100)).status == DONE
    state = State(harness.config.state_url)
    tomorrow = Ledger(state, now=lambda: datetime.now(UTC) + timedelta(days=1, minutes=1))
    owner = harness.owner.id
    assert Ledger(state).added_budget(owner, datetime.now(UTC) - timedelta(days=1), excluded_key="") == {
        "USD": 100
    }
    assert tomorrow.added_budget(owner, tomorrow.now() - timedelta(days=1), excluded_key="") == {}
    state.close()


def test_copy_of_a_copy_needs_again(harness: DuplicationHarness) -> None:
    """A copy as source is refused with its original named; with `again` it is copied, with one marker."""
    first = harness.duplicate(harness.request(again=12))
    copy = str(first.created_id("ad"))
    with pytest.raises(RefusedError, match=f"duplicate the original, {first.ad_id}"):
        harness.duplicate(harness.request(ad_id=copy))
    request = harness.request(ad_id=copy, again=1)
    harness.duplicate(request)
    _, (ad,) = harness.created_objects(request)
    assert ad["ad_name"].count("[tta-") == 1


UNKNOWN_OUTCOMES = {
    "the response is lost": {"kind": "commit_then_cut"},
    "the request is lost": {"kind": "cut_before"},
    "it is executed late": {"kind": "commit_late", "seconds": 0.2},
    "an error although executed": {"kind": "code", "code": 50002, "commit": True},
    "an error": {"kind": "code", "code": 50000},
    "a proxy's page although executed": {"kind": "http_status", "status": 502, "html": "<html>", "commit": True},
    "half a response": {"kind": "truncated"},
}


@pytest.mark.slow
@pytest.mark.parametrize("path", CREATES)
@pytest.mark.parametrize("fault", UNKNOWN_OUTCOMES.values(), ids=UNKNOWN_OUTCOMES.keys())
def test_unknown_outcome_creates_one_copy(
    harness: DuplicationHarness, fault: dict[str, object], path: str
) -> None:
    """After any unknown outcome of a write, the same run ends with one ad group and one ad."""
    request = harness.request(again=100 + 10 * CREATES.index(path) + [*UNKNOWN_OUTCOMES.values()].index(fault))
    harness.host.inject_fault(path=path, **fault)  # type: ignore[arg-type] # the kind is text
    assert harness.duplicate(request).status == DONE
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def test_very_late_write_creates_no_second_ad_group(harness: DuplicationHarness) -> None:
    """All attempts share a `request_id`, so TikTok refuses a write executed very late."""
    request = harness.request(again=19)
    harness.host.inject_fault("commit_late", path="adgroup/create", seconds=1.2)
    assert harness.duplicate(request).status == DONE
    time.sleep(0.8)
    late = [one for one in harness.host.requests if one["fault"] == "commit_late: committed"]
    assert [one["code"] for one in late] == [40050]
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def test_deleted_copy_counts_as_created(harness: DuplicationHarness) -> None:
    """A created ad that a person deleted meanwhile is found and not created again."""
    request = harness.request(again=20)
    harness.host.inject_fault("commit_then_cut", path="ad/create")
    harness.host.inject_fault("http_status", path="ad/get", status=500, html="<html>", after=2, times=None)
    with pytest.raises(UnfinishedError, match="cannot be looked up"):
        harness.duplicate(request)
    _, (ad,) = harness.created_objects(request)
    created = next(one for one in harness.owner.ads if one.id == ad["ad_id"])
    created.deleted = created.created
    harness.host.sandbox.world.version += 1
    harness.host.sandbox.state.faults.clear()
    entry = harness.duplicate(request)
    assert entry.created_id("ad") == ad["ad_id"]
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def test_temporary_error_is_retried(harness: DuplicationHarness) -> None:
    """A rate limit or a conflicting write is retried without a lookup."""
    request = harness.request(again=21)
    harness.host.inject_fault("code", path="adgroup/create", code=40202)
    harness.host.inject_fault("code", path="ad/create", code=40133)
    started = time.monotonic()
    assert harness.duplicate(request).status == DONE
    assert time.monotonic() - started < 5
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def test_partial_duplication_is_reported_and_finished(harness: DuplicationHarness) -> None:
    """A refused ad leaves the ad group and the reason, and the next run creates only the ad."""
    request = harness.request(again=22)
    harness.host.inject_fault("code", path="ad/create", code=40002, message="creatives.0.video_id: not now")
    with pytest.raises(RefusedError, match=r"not now.*ad group \d+ was created and is empty"):
        harness.duplicate(request)
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 0]
    with harness.config.open() as duplicator:
        entry = duplicator.ledger.find(request.key)
        assert entry
        assert entry.status == REFUSED
        assert "not now" in format_status(entry)
        dry_run = duplicator.dry_run(request)
        assert [text.split("\n")[0][-len("ad/create/") :] for text in dry_run.requests] == ["ad/create/"]
        assert duplicator.duplicate(request).status == DONE
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def test_unresolved_outcome_stays_unfinished(harness: DuplicationHarness) -> None:
    """A duplication whose outcome stays unknown is unfinished, not refused, and is finished later."""
    request = harness.request(again=23)
    harness.host.inject_fault("cut_before", path="adgroup/create", times=3)
    with pytest.raises(UnfinishedError, match="3 attempts"):
        harness.duplicate(request)
    with harness.config.open() as duplicator:
        entry = duplicator.ledger.find(request.key)
        assert entry
        assert entry.status == STARTED
        assert "interrupted" in format_status(entry)
        assert duplicator.duplicate(request).status == DONE
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def test_unreadable_account_can_be_retried(harness: DuplicationHarness) -> None:
    """An API that cannot be read refuses nothing permanently, and the request can be repeated."""
    request = harness.request(again=24)
    harness.host.inject_fault("http_status", path="ad/get", status=500, html="<html>", times=None)
    with pytest.raises(TikTokError):
        harness.duplicate(request)
    harness.host.sandbox.state.faults.clear()
    assert harness.duplicate(request).status == DONE


@pytest.mark.parametrize("workers", [2, 4])
def test_concurrent_requests_create_one_copy(harness: DuplicationHarness, workers: int) -> None:
    """Concurrent identical requests, each with its own connections, create one copy."""
    request = harness.request(again=30 + workers)
    with ThreadPoolExecutor(workers) as pool:
        entries = list(pool.map(lambda _: harness.duplicate(request), range(workers)))
    assert {entry.status for entry in entries} == {DONE}
    assert len({entry.created_id("ad") for entry in entries}) == 1
    assert [len(rows) for rows in harness.created_objects(request)] == [1, 1]


def test_writes_to_one_account_do_not_overlap(harness: DuplicationHarness) -> None:
    """Two duplications into one campaign never overlap, and both are done."""
    harness.host.control("POST", "latency", seconds=0.03)
    requests = [harness.request(again=40), harness.request(again=41)]
    with ThreadPoolExecutor(2) as pool:
        entries = list(pool.map(harness.duplicate, requests))
    harness.host.control("POST", "latency", seconds=0)
    assert [entry.status for entry in entries] == [DONE, DONE]
    assert [one["code"] for one in harness.write_requests] == [0] * 2 * len(CREATES)


def test_accounts_do_not_wait_for_each_other(harness: DuplicationHarness) -> None:
    """While one account's duplication hangs, another account's is finished."""
    other = list(harness.host.sandbox.world.advertisers.values())[1]
    source = next(ad for ad in other.campaigns[0].ad_groups[0].ads if not ad.deleted and ad_source(ad) != "custom")
    other_request = harness.request(
        advertiser_id=other.id, ad_id=source.id, campaign_id=other.campaigns[0].id, again=1
    )
    harness.host.inject_fault("hang", path="adgroup/create", advertiser_id=harness.owner.id, seconds=1.5)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(
            harness.duplicate, harness.request(again=42), policy=replace(POLICY, lease_seconds=10.0)
        )
        time.sleep(0.2)
        assert harness.duplicate(other_request).status == DONE
        assert not slow.done()
        assert slow.result().status == DONE


def test_waiting_too_long_for_the_lease_is_an_error(harness: DuplicationHarness) -> None:
    """A lease held by another is waited for and then reported; an expired one is taken."""
    short_policy = replace(POLICY, lease_wait_seconds=0.1, lease_seconds=0.3)
    with harness.config.open() as duplicator:
        with (
            duplicator.ledger.lease(harness.owner.id, seconds=30, wait_seconds=0),
            pytest.raises(LeaseError, match="another duplication of this account is in progress"),
        ):
            harness.duplicate(harness.request(again=43), policy=short_policy)
        with duplicator.ledger.lease(harness.owner.id, seconds=0.05, wait_seconds=0) as lease:
            time.sleep(0.1)
            assert harness.duplicate(harness.request(again=43), policy=short_policy).status == DONE
            with pytest.raises(LeaseLostError):
                lease.renew()


def test_expired_lease_sends_nothing(harness: DuplicationHarness) -> None:
    """A process delayed until its lease expired finds out before the request is sent."""

    def expire_lease(name: str) -> None:
        if name == "ledger: before sending ad_group":
            state = State(harness.config.state_url)
            with state.transaction() as connection:
                connection.execute(sa.update(leases).values(until=datetime.now(UTC) - timedelta(seconds=1)))
            state.close()

    with harness.config.open(expire_lease) as duplicator, pytest.raises(LeaseLostError):
        duplicator.duplicate(harness.request(again=44))
    assert harness.write_requests == []


def test_default_policy_is_consistent() -> None:
    """The default wait is longer than a request may take, and shorter than a lease lasts."""
    policy = ExecutionPolicy()
    assert policy.request_seconds >= 70
    assert policy.lease_seconds > policy.request_seconds + policy.max_send_delay_seconds
    assert policy.settle_seconds > policy.max_send_delay_seconds
    assert policy.lease_wait_seconds > policy.lease_seconds + policy.settle_seconds
