"""Laws of a duplication: what is made, that it is made once, and that nothing is made unasked."""

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


def test_a_dry_run_writes_nothing_and_a_live_run_sends_just_that(bench: DuplicationHarness) -> None:
    """A dry run sends no write and leaves no trace in the ledger; what it shows is what the live run sends."""
    wish = bench.wish(again=1)
    with bench.connection.open() as duplicator:
        rehearsal = duplicator.rehearse(wish)
        assert rehearsal.refusals == []
        assert bench.writes == []
        assert duplicator.ledger.entries() == []
        entry = duplicator.carry_out(wish)
    shown = [request.partition("\n") for request in rehearsal.requests]
    assert [line for line, _, _ in shown] == [
        f"POST {bench.host.sandbox.base_url}/open_api/v1.3/{path}/" for path in CREATES
    ]
    group = entry.made("ad_group")
    bodies = [body.replace("<the id of the ad group above>", str(group)) for _, _, body in shown]
    assert bodies == [step.request for step in entry.steps]
    sent = [json.dumps(one["body"], sort_keys=True, default=str) for one in bench.writes]
    assert sent == [
        json.dumps(json.loads(body, parse_float=Decimal), sort_keys=True, default=str) for body in bodies
    ]
    assert all(request in format_dry_run(rehearsal) for request in rehearsal.requests)


def test_a_copy_stands_switched_off_in_the_scaling_campaign(bench: DuplicationHarness) -> None:
    """One ad group and one ad, both DISABLE, with the original's creative, audience and budget, and the marker."""
    wish = bench.wish(again=2)
    entry = bench.carry_out(wish)
    (group,), (ad,) = bench.made(wish)
    assert entry.status == DONE
    assert (entry.made("ad_group"), entry.made("ad")) == (group["adgroup_id"], ad["ad_id"])
    assert group["campaign_id"] == ad["campaign_id"] == bench.scaling.id
    assert [row["operation_status"] for row in (group, ad)] == ["DISABLE", "DISABLE"]
    (original,) = [
        row for row in bench.host.truth("ads", advertiser_id=wish.advertiser_id) if row["ad_id"] == wish.ad_id
    ]
    for name in ("tiktok_item_id", "ad_text", "call_to_action", "landing_page_url", "identity_id"):
        assert ad[name] == original[name]
    assert ad["ad_name"] == f"{original['ad_name']} {build_marker(wish.key)}"
    own = {row["adgroup_id"]: row for row in bench.host.truth("ad_groups", advertiser_id=wish.advertiser_id)}
    for name in ("age_groups", "location_ids", "optimization_goal", "pixel_id", "budget"):
        assert group[name] == own[original["adgroup_id"]][name]
    assert group["budget_mode"] == "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"  # what the objective takes by the day
    assert (entry.currency, entry.added_budget) == ("USD", group["budget"])


def test_a_repeat_does_nothing(bench: DuplicationHarness) -> None:
    """What is done stays as it is, whatever is wished for beside it; another number is another copy."""
    wish = bench.wish(again=3)
    first = bench.carry_out(wish)
    sent = len(bench.writes)
    assert bench.carry_out(replace(wish, enable=True, budget=Decimal(99))) == first
    assert len(bench.writes) == sent
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]
    bench.carry_out(replace(wish, again=4))
    assert len(bench.writes) == 2 * sent


def test_into_an_ad_group_that_is_there(bench: DuplicationHarness) -> None:
    """Only the ad is made, in the ad group named, and no budget is added."""
    wish = bench.wish(again=5, ad_group_id=bench.scaling_group.id)
    entry = bench.carry_out(wish)
    groups, (ad,) = bench.made(wish)
    assert groups == []
    assert ad["adgroup_id"] == bench.scaling_group.id
    assert ad["operation_status"] == "DISABLE"
    assert entry.added_budget == 0


def test_enabled_only_when_told(bench: DuplicationHarness) -> None:
    """With `enable` both objects deliver, and a budget wished for is the copy's."""
    wish = bench.wish(again=6, enable=True, budget=Decimal("33.50"))
    bench.carry_out(wish)
    (group,), (ad,) = bench.made(wish)
    assert (group["operation_status"], ad["operation_status"]) == ("ENABLE", "ENABLE")
    assert group["budget"] == Decimal("33.5")


def test_emoji_are_cut_from_names_and_refused_in_texts(bench: DuplicationHarness) -> None:
    """Names lose theirs; a text with one is refused before anything is made, or sent without when that is said."""
    ad = next(one for one in bench.owner.ads if ad_source(one) == "push" and not one.deleted)
    group = ad.ad_group
    kept = ad.name, ad.text, group.name, ad.in_review
    # In review it shows no post yet that could be pulled, so its video and text are sent.
    ad.name, ad.text, group.name, ad.in_review = "❤️ Hook ✅", "Try it 🔥 now", "Broad 🇩🇪", True
    try:
        wish = bench.wish(again=70, ad_id=ad.id)
        with pytest.raises(RefusedError, match=r"no emoji in an ad's text.*🔥; say --without-emoji"):
            bench.carry_out(wish)
        assert bench.writes == []
        bench.carry_out(replace(wish, without_emoji=True))
        (made_group,), (made_ad,) = bench.made(wish)
    finally:
        ad.name, ad.text, group.name, ad.in_review = kept
    marker = build_marker(wish.key)
    assert (made_ad["ad_name"], made_ad["ad_text"]) == (f"Hook {marker}", "Try it now")
    assert made_group["adgroup_name"] == f"Broad {marker}"


def test_requests_keep_the_contract(bench: DuplicationHarness) -> None:
    """Both requests are as the documents want them, and hold no key that creation does not take."""
    bench.host.sandbox.state.switches.read_only_refused = True
    wish = bench.wish(again=7)
    bench.carry_out(wish)
    assert [request["path"] for request in bench.writes] == list(CREATES)
    for request in bench.writes:
        contract = load_contract(request["path"])
        body = json.loads(json.dumps(request["body"], default=float))
        headers = {"Access-Token": "x", "Content-Type": "application/json"}
        path = f"/open_api/v1.3/{request['path']}/"
        told = find_request_violations(contract, "POST", path, query={}, body=body, headers=headers)
        assert told == []


def test_a_campaign_that_spreads_its_budget_adds_none(bench: DuplicationHarness) -> None:
    """Under campaign budget optimisation the copy has no budget of its own, and nothing counts for the cap."""
    bench.scaling.budget_optimize_on, bench.scaling.budget_mode = True, "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"
    try:
        wish = bench.wish(again=8)
        entry = bench.carry_out(wish, max_added_budget=Decimal(1))
        (group,), _ = bench.made(wish)
    finally:
        bench.scaling.budget_optimize_on, bench.scaling.budget_mode = False, "BUDGET_MODE_INFINITE"
    assert entry.added_budget == 0
    assert group["budget"] == 0


def test_the_cap_counts_a_days_duplications(bench: DuplicationHarness) -> None:
    """What the last 24 hours added counts, whatever the wish; a repeat of what is done is no addition."""
    first = bench.wish(again=9, budget=Decimal(60))
    bench.carry_out(first, max_added_budget=Decimal(100))
    with pytest.raises(RefusedError, match=r"it would add 40\.01 USD to 60 of the last 24 hours"):
        bench.carry_out(bench.wish(again=10, budget=Decimal("40.01")), max_added_budget=Decimal(100))
    bench.carry_out(bench.wish(again=11, budget=Decimal(40)), max_added_budget=Decimal(100))
    assert bench.carry_out(first, max_added_budget=Decimal(100)).status == DONE
    state = State(bench.connection.state_url)
    tomorrow = Ledger(state, now=lambda: datetime.now(UTC) + timedelta(days=1, minutes=1))
    owner = bench.owner.id
    assert Ledger(state).added_budget(owner, datetime.now(UTC) - timedelta(days=1), but_for="") == {"USD": 100}
    assert tomorrow.added_budget(owner, tomorrow.now() - timedelta(days=1), but_for="") == {}
    state.close()


def test_a_copy_of_a_copy_must_be_meant(bench: DuplicationHarness) -> None:
    """A copy is refused as a source, with its original named; with `again` it is copied, with one marker."""
    first = bench.carry_out(bench.wish(again=12))
    copy = str(first.made("ad"))
    with pytest.raises(RefusedError, match=f"duplicate the original, {first.ad_id}"):
        bench.carry_out(bench.wish(ad_id=copy))
    wish = bench.wish(ad_id=copy, again=1)
    bench.carry_out(wish)
    _, (ad,) = bench.made(wish)
    assert ad["ad_name"].count("[tta-") == 1


DOUBTS = {
    "the answer is lost": {"kind": "commit_then_cut"},
    "the request is lost": {"kind": "cut_before"},
    "it is done late": {"kind": "commit_late", "seconds": 0.2},
    "an error that was none": {"kind": "code", "code": 50002, "commit": True},
    "an error that was one": {"kind": "code", "code": 50000},
    "a proxy's page, and done": {"kind": "http_status", "status": 502, "html": "<html>", "commit": True},
    "half an answer": {"kind": "truncated"},
}


@pytest.mark.parametrize("path", CREATES)
@pytest.mark.parametrize("fault", DOUBTS.values(), ids=DOUBTS.keys())
def test_after_a_doubt_there_is_one(bench: DuplicationHarness, fault: dict[str, object], path: str) -> None:
    """Whatever is unknown of a write, the same run finds out, and there is one ad group and one ad."""
    wish = bench.wish(again=100 + 10 * CREATES.index(path) + [*DOUBTS.values()].index(fault))
    bench.host.misbehave(path=path, **fault)  # type: ignore[arg-type] # the kind is text
    assert bench.carry_out(wish).status == DONE
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def test_even_a_write_that_comes_after_all_waiting_makes_no_second_ad_group(bench: DuplicationHarness) -> None:
    """Every attempt has the same `request_id`, so that TikTok refuses what is done late beside its successor."""
    wish = bench.wish(again=19)
    bench.host.misbehave("commit_late", path="adgroup/create", seconds=1.2)
    assert bench.carry_out(wish).status == DONE
    time.sleep(0.8)
    late = [one for one in bench.host.requests if one["fault"] == "commit_late: committed"]
    assert [one["code"] for one in late] == [40050]
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def test_a_copy_that_was_deleted_counts_as_made(bench: DuplicationHarness) -> None:
    """A lost answer whose ad a person deleted meanwhile is found all the same, and not made again."""
    wish = bench.wish(again=20)
    bench.host.misbehave("commit_then_cut", path="ad/create")
    bench.host.misbehave("http_status", path="ad/get", status=500, html="<html>", after=1, times=None)
    with pytest.raises(UnfinishedError, match="cannot be seen"):
        bench.carry_out(wish)
    _, (ad,) = bench.made(wish)
    made = next(one for one in bench.owner.ads if one.id == ad["ad_id"])
    made.deleted = made.created
    bench.host.sandbox.world.version += 1
    bench.host.sandbox.state.faults.clear()
    entry = bench.carry_out(wish)
    assert entry.made("ad") == ad["ad_id"]
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def test_too_fast_is_tried_again(bench: DuplicationHarness) -> None:
    """A refusal that may pass, a limit or another write that was first, is asked for again without a search."""
    wish = bench.wish(again=21)
    bench.host.misbehave("code", path="adgroup/create", code=40202)
    bench.host.misbehave("code", path="ad/create", code=40133)
    started = time.monotonic()
    assert bench.carry_out(wish).status == DONE
    assert time.monotonic() - started < 5
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def test_a_half_made_duplication_says_so_and_is_finished(bench: DuplicationHarness) -> None:
    """What the API refuses now leaves the ad group and the reason; asked for again only the ad is made."""
    wish = bench.wish(again=22)
    bench.host.misbehave("code", path="ad/create", code=40002, message="creatives.0.video_id: not now")
    with pytest.raises(RefusedError, match=r"not now.*ad group \d+ was made and stands empty"):
        bench.carry_out(wish)
    assert [len(rows) for rows in bench.made(wish)] == [1, 0]
    with bench.connection.open() as duplicator:
        entry = duplicator.ledger.find(wish.key)
        assert entry
        assert entry.status == REFUSED
        assert "not now" in format_status(entry)
        rehearsal = duplicator.rehearse(wish)
        assert [request.split("\n")[0][-len("ad/create/") :] for request in rehearsal.requests] == ["ad/create/"]
        assert duplicator.carry_out(wish).status == DONE
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def test_what_stays_in_doubt_stays_open(bench: DuplicationHarness) -> None:
    """If it never becomes clear within our patience it is unfinished, not refused, and finished later."""
    wish = bench.wish(again=23)
    bench.host.misbehave("cut_before", path="adgroup/create", times=3)
    with pytest.raises(UnfinishedError, match="3 attempts"):
        bench.carry_out(wish)
    with bench.connection.open() as duplicator:
        entry = duplicator.ledger.find(wish.key)
        assert entry
        assert entry.status == STARTED
        assert "interrupted" in format_status(entry)
        assert duplicator.carry_out(wish).status == DONE
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def test_an_unreadable_account_is_asked_again(bench: DuplicationHarness) -> None:
    """An API that cannot be read refuses nothing for good: the wish stays open."""
    wish = bench.wish(again=24)
    bench.host.misbehave("http_status", path="ad/get", status=500, html="<html>", times=None)
    with pytest.raises(TikTokError):
        bench.carry_out(wish)
    bench.host.sandbox.state.faults.clear()
    assert bench.carry_out(wish).status == DONE


@pytest.mark.parametrize("workers", [2, 4])
def test_several_at_once_make_one(bench: DuplicationHarness, workers: int) -> None:
    """Processes that want the same at the same time, each with connections of its own, make one copy."""
    wish = bench.wish(again=30 + workers)
    with ThreadPoolExecutor(workers) as pool:
        entries = list(pool.map(lambda _: bench.carry_out(wish), range(workers)))
    assert {entry.status for entry in entries} == {DONE}
    assert len({entry.made("ad") for entry in entries}) == 1
    assert [len(rows) for rows in bench.made(wish)] == [1, 1]


def test_writes_to_one_account_wait_for_each_other(bench: DuplicationHarness) -> None:
    """Two wishes for one campaign never overlap: the API sees no conflict to refuse, and both are done."""
    bench.host.control("POST", "latency", seconds=0.03)
    wishes = [bench.wish(again=40), bench.wish(again=41)]
    with ThreadPoolExecutor(2) as pool:
        entries = list(pool.map(bench.carry_out, wishes))
    bench.host.control("POST", "latency", seconds=0)
    assert [entry.status for entry in entries] == [DONE, DONE]
    assert [one["code"] for one in bench.writes] == [0] * 2 * len(CREATES)


def test_two_accounts_do_not_wait_for_each_other(bench: DuplicationHarness) -> None:
    """While one account's duplication hangs, another account's is begun and done."""
    other = list(bench.host.sandbox.world.advertisers.values())[1]
    source = next(ad for ad in other.campaigns[0].ad_groups[0].ads if not ad.deleted and ad_source(ad) != "custom")
    theirs = bench.wish(advertiser_id=other.id, ad_id=source.id, campaign_id=other.campaigns[0].id, again=1)
    bench.host.misbehave("hang", path="adgroup/create", advertiser_id=bench.owner.id, seconds=1.5)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(bench.carry_out, bench.wish(again=42), patience=replace(POLICY, lease_seconds=10.0))
        time.sleep(0.2)
        assert bench.carry_out(theirs).status == DONE
        assert not slow.done()
        assert slow.result().status == DONE


def test_who_waits_too_long_is_told(bench: DuplicationHarness) -> None:
    """A lease that another holds is waited for, and then named; one that ran out is taken."""
    impatient = replace(POLICY, lease_wait_seconds=0.1, lease_seconds=0.3)
    with bench.connection.open() as duplicator:
        with (
            duplicator.ledger.lease(bench.owner.id, seconds=30, wait_seconds=0),
            pytest.raises(LeaseError, match="another duplication of this account is under way"),
        ):
            bench.carry_out(bench.wish(again=43), patience=impatient)
        with duplicator.ledger.lease(bench.owner.id, seconds=0.05, wait_seconds=0) as lease:
            time.sleep(0.1)
            assert bench.carry_out(bench.wish(again=43), patience=impatient).status == DONE
            with pytest.raises(LeaseLostError):
                lease.renew()


def test_a_lease_that_ran_out_sends_nothing(bench: DuplicationHarness) -> None:
    """Who was held up until another may have taken over finds out before the request leaves."""

    def held_up(name: str) -> None:
        if name == "ledger: before sending ad_group":
            state = State(bench.connection.state_url)
            with state.transaction() as connection:
                connection.execute(sa.update(leases).values(until=datetime.now(UTC) - timedelta(seconds=1)))
            state.close()

    with bench.connection.open(held_up) as duplicator, pytest.raises(LeaseLostError):
        duplicator.carry_out(bench.wish(again=44))
    assert bench.writes == []


def test_patience_outlasts_a_request() -> None:
    """What is waited for by default is longer than a request may take, and shorter than a lease holds."""
    patience = ExecutionPolicy()
    assert patience.request_seconds >= 70
    assert patience.lease_seconds > patience.request_seconds + patience.held_up_seconds
    assert patience.settle_seconds > patience.held_up_seconds
    assert patience.lease_wait_seconds > patience.lease_seconds + patience.settle_seconds
