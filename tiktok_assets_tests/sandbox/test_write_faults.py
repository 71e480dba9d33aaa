"""Tests of failing writes: closed connections, late commits, hidden objects and overlapping writes."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tiktok_assets_tests.sandbox.conftest import REPORT, Api
from tiktok_assets_tests.sandbox.factory import EntityFactory
from tiktok_assets_tests.sandbox.smart_plus_factory import SmartPlusFactory


def campaigns_named(factory: EntityFactory, name: str) -> list[str]:
    """Return the ids of all campaigns with a name, from the ground truth."""
    rows = factory.api.control("GET", f"truth/campaigns?advertiser_id={factory.account}")
    return [one["campaign_id"] for one in rows if one["campaign_name"] == name]


def create_and_lose_connection(factory: EntityFactory, kind: str, **fault: object) -> str:
    """Create a campaign whose connection the fault closes, and return its name."""
    factory.api.control("POST", "faults", kind=kind, path="campaign/create", **fault)
    body = factory.campaign_body()
    with pytest.raises(httpx.TransportError):
        factory.post("campaign/create", **body)
    return str(body["campaign_name"])


def test_cut_before_is_never_committed(factory: EntityFactory) -> None:
    """With cut_before nothing is created, then or later."""
    name = create_and_lose_connection(factory, "cut_before")
    time.sleep(0.1)
    assert campaigns_named(factory, name) == []


def test_commit_then_cut_is_committed_at_once(factory: EntityFactory) -> None:
    """With commit_then_cut the object is created although the connection closes."""
    assert len(campaigns_named(factory, create_and_lose_connection(factory, "commit_then_cut"))) == 1


def test_commit_late_is_committed_later(factory: EntityFactory) -> None:
    """With commit_late the connection closes at once and the object is created some real seconds later."""
    started = time.monotonic()
    name = create_and_lose_connection(factory, "commit_late", seconds=0.4)
    assert time.monotonic() - started < 0.3
    assert campaigns_named(factory, name) == []
    time.sleep(0.6)
    assert len(campaigns_named(factory, name)) == 1
    first, second = factory.api.control("GET", "requests")[-2:]
    assert (first["status"], first["fault"]) == (None, "commit_late")
    assert (second["code"], second["fault"]) == (0, "commit_late: committed")


def test_late_commit_with_a_used_request_id_fails(factory: EntityFactory) -> None:
    """A late write fails if the same request_id was used meanwhile."""
    factory.api.control("POST", "faults", kind="commit_late", path="campaign/create", seconds=0.3)
    body = factory.campaign_body(request_id="77")
    with pytest.raises(httpx.TransportError):
        factory.post("campaign/create", **body)
    factory.post("campaign/create", **body)
    time.sleep(0.5)
    assert len(campaigns_named(factory, body["campaign_name"])) == 1


def test_error_response_after_a_commit(factory: EntityFactory) -> None:
    """With `commit` the response is an error although the write was done."""
    factory.api.control("POST", "faults", kind="code", code=50002, path="campaign/create", commit=True)
    body = factory.campaign_body()
    assert factory.api.post("campaign/create", advertiser_id=factory.account, **body)["code"] == 50002
    assert len(campaigns_named(factory, body["campaign_name"])) == 1


@pytest.mark.parametrize("clock", ["wall", "world"])
def test_invisible_hides_what_was_created(factory: EntityFactory, clock: str) -> None:
    """Lists and reports hide a created object for some seconds of the given clock; the ground truth has it."""
    seconds = 0.4 if clock == "wall" else 60
    factory.api.control("POST", "faults", kind="invisible", path="campaign/create", seconds=seconds, clock=clock)
    campaign = factory.campaign()
    query: dict[str, Any] = {"advertiser_id": factory.account, "filtering": {"campaign_ids": [campaign]}}
    assert factory.api.get("campaign/get", **query)["data"]["list"] == []
    rows = factory.api.rows(factory.account, "AUCTION_CAMPAIGN", query_lifetime=True)
    assert campaign not in {row["dimensions"]["campaign_id"] for row in rows}
    assert campaign in {one["campaign_id"] for one in factory.api.control("GET", "truth/campaigns")}
    if clock == "wall":
        time.sleep(0.5)
    else:
        factory.api.control("POST", "clock", advance_seconds=60)
    assert len(factory.api.get("campaign/get", **query)["data"]["list"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cut_before", "commit_then_cut", "commit_late"])
def test_lost_responses_of_smart_plus_creations(factory: EntityFactory, kind: str) -> None:
    """An Upgraded Smart+ creation whose response is lost is done never, at once or later, as the fault says."""
    smart_plus = SmartPlusFactory(factory)
    campaign = smart_plus.campaign()
    group = smart_plus.ad_group(campaign)
    late = 1.0 if kind == "commit_late" else 0.2  # long enough for the first read on a busy machine
    made = {"cut_before": (0, 0), "commit_then_cut": (1, 1), "commit_late": (0, 1)}[kind]
    for path, body, read, key in (
        ("smart_plus/campaign/create", smart_plus.campaign_body(), "campaign/get", "campaign_name"),
        (
            "smart_plus/adgroup/create",
            smart_plus.ad_group_body(campaign),
            "smart_plus/adgroup/get",
            "adgroup_name",
        ),
        ("smart_plus/ad/create", smart_plus.ad_body(group), "smart_plus/ad/get", "ad_name"),
    ):
        factory.api.control("POST", "faults", kind=kind, path=path, seconds=late)
        with pytest.raises(httpx.TransportError):
            factory.post(path, **body)
        for expected, wait in zip(made, (1.5 * late, 0.0), strict=True):
            rows = factory.api.get(read, advertiser_id=factory.account, page_size=100)["data"]["list"]
            assert sum(row[key] == body[key] for row in rows) == expected, path
            time.sleep(wait)


def test_invisible_hides_a_smart_plus_ad(factory: EntityFactory) -> None:
    """With invisible neither the new ad nor its creatives are in lists, and the ad's id is in the response."""
    smart_plus = SmartPlusFactory(factory)
    group = smart_plus.ad_group()
    factory.api.control("POST", "faults", kind="invisible", path="smart_plus/ad/create", seconds=60, clock="world")
    ad = smart_plus.ad(group)

    def listed() -> list[int]:
        filtering = {"adgroup_ids": [group]}
        pages = [
            factory.api.get(path, advertiser_id=factory.account, filtering=filtering)["data"]["list"]
            for path in ("smart_plus/ad/get", "ad/get")
        ]
        return [len(rows) for rows in pages]

    assert listed() == [0, 0]
    factory.api.control("POST", "clock", advance_seconds=61)
    assert listed() == [1, 1]
    assert factory.read("smart_plus/ad/get", smart_plus_ad_ids=[ad])["adgroup_id"] == group


def test_overlapping_smart_plus_writes_conflict(factory: EntityFactory) -> None:
    """Two writes to one Upgraded Smart+ ad or its ad group at the same time: one of them fails with 40202."""
    smart_plus = SmartPlusFactory(factory)
    group = smart_plus.ad_group()
    body = {"smart_plus_ad_ids": [smart_plus.ad(group)], "operation_status": "DISABLE"}
    factory.api.control("POST", "faults", kind="hang", path="smart_plus/ad/create", seconds=0.5)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(factory.post, "smart_plus/ad/create", **smart_plus.ad_body(group))
        time.sleep(0.2)
        assert factory.refused("smart_plus/ad/status/update", **body)[0] == 40202
        slow.result()
    factory.post("smart_plus/ad/status/update", **body)


def test_faults_stack(factory: EntityFactory) -> None:
    """Faults with `stack` fire in addition to another one, and others fire for later requests."""
    factory.api.control("POST", "faults", kind="commit_then_cut", path="campaign/create")
    factory.api.control("POST", "faults", kind="invisible", path="campaign/create", seconds=30, stack=True)
    factory.api.control("POST", "faults", kind="code", path="campaign/create", code=40100)
    body = factory.campaign_body()
    with pytest.raises(httpx.TransportError):
        factory.post("campaign/create", **body)
    listed = factory.api.get(
        "campaign/get", advertiser_id=factory.account, filtering={"campaign_name": body["campaign_name"]}
    )
    assert (listed["data"]["list"], len(campaigns_named(factory, body["campaign_name"]))) == ([], 1)
    assert factory.api.post("campaign/create", advertiser_id=factory.account, **body)["code"] == 40100


def test_write_faults_are_repeatable(factory: EntityFactory) -> None:
    """A fault with a probability fires for the same requests in every run."""
    runs = []
    for _ in range(2):
        factory.api.control("DELETE", "faults")
        factory.api.control("POST", "faults", kind="cut_before", path="adgroup/quota", probability=0.5, times=None)
        runs.append([_succeeds(factory) for _ in range(10)])
    assert runs[0] == runs[1]
    assert {True, False} == set(runs[0])


def _succeeds(factory: EntityFactory) -> bool:
    try:
        return bool(factory.api.get("adgroup/quota", advertiser_id=factory.account)["code"] == 0)
    except httpx.TransportError:
        return False


def _run_concurrently(factory: EntityFactory, *writes: tuple[str, dict[str, Any]]) -> list[int]:
    with ThreadPoolExecutor(len(writes)) as pool:
        futures = [
            pool.submit(factory.api.post, path, **{"advertiser_id": factory.account, **body})
            for path, body in writes
        ]
    return sorted(one.result()["code"] for one in futures)


def test_overlapping_writes_conflict(factory: EntityFactory) -> None:
    """Of two writes that overlap on one campaign or ad group, one fails with 40202."""
    groups = [factory.ad_group(), factory.ad_group()]
    factory.api.control("POST", "latency", seconds=0.2)

    def creation(group: str) -> tuple[str, dict[str, Any]]:
        return "ad/create", {"adgroup_id": group, "creatives": [factory.creative()]}

    assert _run_concurrently(factory, creation(groups[0]), creation(groups[0])) == [0, 40202]
    assert _run_concurrently(factory, creation(groups[0]), creation(groups[1])) == [0, 0]
    campaign = factory.read("adgroup/get", adgroup_ids=[groups[0]])["campaign_id"]
    renaming = ("campaign/update", {"campaign_id": campaign, "campaign_name": factory.name()})
    assert _run_concurrently(factory, creation(groups[0]), renaming) == [0, 40202]
    factory.api.control("POST", "switches", optimistic_lock=False)
    assert _run_concurrently(factory, creation(groups[0]), creation(groups[0])) == [0, 0]


def test_ties_are_shuffled_between_pages(api: Api, accounts: list[str]) -> None:
    """Rows of equal rank change their order between requests, and the order by rank stays."""
    query: dict[str, Any] = {
        "query_lifetime": True,
        "order_field": "onsite_shopping",
        "metrics": ["onsite_shopping"],
    }
    expected = api.rows(accounts[0], **query)
    api.control("POST", "faults", kind="ties_shuffled", path=REPORT, times=None)
    orders = [api.rows(accounts[0], **query) for _ in range(2)]
    assert orders[0] != orders[1]
    for order in orders:
        figures = [int(row["metrics"]["onsite_shopping"]) for row in order]
        assert sorted(figures, reverse=True) == figures
        key = lambda row: row["dimensions"]["ad_id"]  # noqa: E731  # read twice below
        assert sorted(expected, key=key) == sorted(order, key=key)


def test_equal_writes_give_equal_worlds() -> None:
    """Equal plans and equal writes give equal worlds, ids included."""
    from tiktok_assets.sandbox.running import RunningSandbox  # noqa: PLC0415
    from tiktok_assets_tests.sandbox.conftest import factory_for  # noqa: PLC0415

    results = []
    for _ in range(2):
        with RunningSandbox() as running, httpx.Client(base_url=running.base_url) as http:
            factory = factory_for(Api(running, http))
            group = factory.ad_group(factory.campaign(campaign_name="Same"), adgroup_name="Same")
            ad = factory.ad(group, ad_name="Same")
            factory.api.control("POST", "clock", advance_seconds=4 * 86_400)
            rows = factory.api.rows(factory.account, query_lifetime=True)
            results.append((factory.read("ad/get", ad_ids=[ad]), rows))
    assert results[0] == results[1]
