"""Laws of writes that go wrong: cut connections, late commits, hidden objects, overlapping writes."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tiktok_assets_tests.sandbox.conftest import REPORT, Api
from tiktok_assets_tests.sandbox.factory import EntityFactory


def named(drafts: EntityFactory, name: str) -> list[str]:
    """Return the true campaigns of a name."""
    told = drafts.api.control("GET", f"truth/campaigns?advertiser_id={drafts.account}")
    return [one["campaign_id"] for one in told if one["campaign_name"] == name]


def cut_off(drafts: EntityFactory, kind: str, **fault: object) -> str:
    """Send a creation whose connection the fault cuts, and return the name it had."""
    drafts.api.control("POST", "faults", kind=kind, path="campaign/create", **fault)
    body = drafts.campaign_body()
    with pytest.raises(httpx.TransportError):
        drafts.post("campaign/create", **body)
    return str(body["campaign_name"])


def test_cut_before_is_never_committed(drafts: EntityFactory) -> None:
    """The connection breaks and nothing was made, then or later."""
    name = cut_off(drafts, "cut_before")
    time.sleep(0.1)
    assert named(drafts, name) == []


def test_commit_then_cut_is_committed_at_once(drafts: EntityFactory) -> None:
    """The connection breaks and the object is there."""
    assert len(named(drafts, cut_off(drafts, "commit_then_cut"))) == 1


def test_commit_late_is_committed_after_a_while(drafts: EntityFactory) -> None:
    """The connection breaks at once; the object appears so many real seconds later."""
    started = time.monotonic()
    name = cut_off(drafts, "commit_late", seconds=0.4)
    assert time.monotonic() - started < 0.3
    assert named(drafts, name) == []
    time.sleep(0.6)
    assert len(named(drafts, name)) == 1
    first, second = drafts.api.control("GET", "requests")[-2:]
    assert (first["status"], first["fault"]) == (None, "commit_late")
    assert (second["code"], second["fault"]) == (0, "commit_late: committed")


def test_a_late_commit_meets_the_request_id(drafts: EntityFactory) -> None:
    """When the same request_id has succeeded meanwhile, the late write comes to nothing."""
    drafts.api.control("POST", "faults", kind="commit_late", path="campaign/create", seconds=0.3)
    body = drafts.campaign_body(request_id="77")
    with pytest.raises(httpx.TransportError):
        drafts.post("campaign/create", **body)
    drafts.post("campaign/create", **body)
    time.sleep(0.5)
    assert len(named(drafts, body["campaign_name"])) == 1


def test_an_answer_may_lie_about_a_write(drafts: EntityFactory) -> None:
    """With `commit` an error is answered although the write was done."""
    drafts.api.control("POST", "faults", kind="code", code=50002, path="campaign/create", commit=True)
    body = drafts.campaign_body()
    assert drafts.api.post("campaign/create", advertiser_id=drafts.account, **body)["code"] == 50002
    assert len(named(drafts, body["campaign_name"])) == 1


@pytest.mark.parametrize("clock", ["wall", "world"])
def test_invisible_hides_what_was_created(drafts: EntityFactory, clock: str) -> None:
    """Reads and reports do not show the object for so many seconds of the named clock; the truth does."""
    seconds = 0.4 if clock == "wall" else 60
    drafts.api.control("POST", "faults", kind="invisible", path="campaign/create", seconds=seconds, clock=clock)
    campaign = drafts.campaign()
    chosen: dict[str, Any] = {"advertiser_id": drafts.account, "filtering": {"campaign_ids": [campaign]}}
    assert drafts.api.get("campaign/get", **chosen)["data"]["list"] == []
    rows = drafts.api.rows(drafts.account, "AUCTION_CAMPAIGN", query_lifetime=True)
    assert campaign not in {row["dimensions"]["campaign_id"] for row in rows}
    assert campaign in {one["campaign_id"] for one in drafts.api.control("GET", "truth/campaigns")}
    if clock == "wall":
        time.sleep(0.5)
    else:
        drafts.api.control("POST", "clock", advance_seconds=60)
    assert len(drafts.api.get("campaign/get", **chosen)["data"]["list"]) == 1


def test_faults_stack(drafts: EntityFactory) -> None:
    """Faults marked to stack fire beside another one; others wait for their turn."""
    drafts.api.control("POST", "faults", kind="commit_then_cut", path="campaign/create")
    drafts.api.control("POST", "faults", kind="invisible", path="campaign/create", seconds=30, stack=True)
    drafts.api.control("POST", "faults", kind="code", path="campaign/create", code=40100)
    body = drafts.campaign_body()
    with pytest.raises(httpx.TransportError):
        drafts.post("campaign/create", **body)
    found = drafts.api.get(
        "campaign/get", advertiser_id=drafts.account, filtering={"campaign_name": body["campaign_name"]}
    )
    assert (found["data"]["list"], len(named(drafts, body["campaign_name"]))) == ([], 1)
    assert drafts.api.post("campaign/create", advertiser_id=drafts.account, **body)["code"] == 40100


def test_write_faults_are_replayable(drafts: EntityFactory) -> None:
    """A fault with a probability falls on the same writes each time."""
    runs = []
    for _ in range(2):
        drafts.api.control("DELETE", "faults")
        drafts.api.control("POST", "faults", kind="cut_before", path="adgroup/quota", probability=0.5, times=None)
        runs.append([_survives(drafts) for _ in range(10)])
    assert runs[0] == runs[1]
    assert {True, False} == set(runs[0])


def _survives(drafts: EntityFactory) -> bool:
    try:
        return bool(drafts.api.get("adgroup/quota", advertiser_id=drafts.account)["code"] == 0)
    except httpx.TransportError:
        return False


def _together(drafts: EntityFactory, *writes: tuple[str, dict[str, Any]]) -> list[int]:
    with ThreadPoolExecutor(len(writes)) as pool:
        sent = [
            pool.submit(drafts.api.post, path, **{"advertiser_id": drafts.account, **body})
            for path, body in writes
        ]
    return sorted(one.result()["code"] for one in sent)


def test_overlapping_writes_on_one_object_conflict(drafts: EntityFactory) -> None:
    """Of two writes that overlap on one campaign or ad group one is 40202; apart, or after one another, none."""
    groups = [drafts.ad_group(), drafts.ad_group()]
    drafts.api.control("POST", "latency", seconds=0.2)

    def creation(group: str) -> tuple[str, dict[str, Any]]:
        return "ad/create", {"adgroup_id": group, "creatives": [drafts.creative()]}

    assert _together(drafts, creation(groups[0]), creation(groups[0])) == [0, 40202]
    assert _together(drafts, creation(groups[0]), creation(groups[1])) == [0, 0]
    campaign = drafts.read("adgroup/get", adgroup_ids=[groups[0]])["campaign_id"]
    renaming = ("campaign/update", {"campaign_id": campaign, "campaign_name": drafts.name()})
    assert _together(drafts, creation(groups[0]), renaming) == [0, 40202]
    drafts.api.control("POST", "switches", optimistic_lock=False)
    assert _together(drafts, creation(groups[0]), creation(groups[0])) == [0, 0]


def test_ties_are_shuffled_between_pages(api: Api, accounts: list[str]) -> None:
    """Rows of equal rank change places between pages, so that some come twice and some never; ranks hold."""
    asked: dict[str, Any] = {
        "query_lifetime": True,
        "order_field": "profile_visits",
        "metrics": ["profile_visits"],
    }
    honest = api.rows(accounts[0], order_field="onsite_shopping", query_lifetime=True, metrics=["onsite_shopping"])
    api.control("POST", "faults", kind="ties_shuffled", path=REPORT, times=None)
    asked |= {"order_field": "onsite_shopping", "metrics": ["onsite_shopping"]}
    orders = [api.rows(accounts[0], **asked) for _ in range(2)]
    assert orders[0] != orders[1]
    for order in orders:
        figures = [int(row["metrics"]["onsite_shopping"]) for row in order]
        assert sorted(figures, reverse=True) == figures
        key = lambda row: row["dimensions"]["ad_id"]  # noqa: E731  # read twice below
        assert sorted(honest, key=key) == sorted(order, key=key)


def test_the_same_writes_make_the_same_world() -> None:
    """Two sandboxes of one plan that receive the same writes answer the same, ids included."""
    from tiktok_assets.sandbox.running import RunningSandbox  # noqa: PLC0415
    from tiktok_assets_tests.sandbox.conftest import writer  # noqa: PLC0415

    told = []
    for _ in range(2):
        with RunningSandbox() as running, httpx.Client(base_url=running.base_url) as http:
            drafts = writer(Api(running, http))
            group = drafts.ad_group(drafts.campaign(campaign_name="Same"), adgroup_name="Same")
            ad = drafts.ad(group, ad_name="Same")
            drafts.api.control("POST", "clock", advance_seconds=4 * 86_400)
            rows = drafts.api.rows(drafts.account, query_lifetime=True)
            told.append((drafts.read("ad/get", ad_ids=[ad]), rows))
    assert told[0] == told[1]
