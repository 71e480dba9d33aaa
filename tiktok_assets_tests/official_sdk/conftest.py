"""Fixtures: every request of the product, and every operation of the sandbox called by TikTok's SDK."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest

from tiktok_assets.sandbox.reads.media import library_image, library_video
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import PLAN, open_harness
from tiktok_assets_tests.every_request import send_every_request
from tiktok_assets_tests.official_sdk.operations import load_operations
from tiktok_assets_tests.official_sdk.sdk_api import Call, SdkApi
from tiktok_assets_tests.sandbox.conftest import Api, factory_for
from tiktok_assets_tests.sandbox.factory import EntityFactory
from tiktok_assets_tests.sandbox.smart_plus_factory import SmartPlusFactory

Json = Any  # any JSON value
NEW_NAME = "Renamed by the SDK"
LISTS = {
    "": ("campaign/get", "adgroup/get", "ad/get"),
    "smart_plus": ("smart_plus/campaign/get", "smart_plus/adgroup/get", "smart_plus/ad/get"),
}
MATERIALS = ("main_material_id", "ad_text_entity_id", "call_to_action_entity_id", "interactive_add_on_entity_id")
DAYS = {"start_date": "2026-10-20", "end_date": "2026-11-08"}


@dataclass(frozen=True)
class Compared:
    """One read, sent by the SDK and by plain HTTP."""

    operation: str
    query: Mapping[str, Json]
    by_sdk: Mapping[str, Json]
    by_hand: Mapping[str, Json]


@dataclass(frozen=True)
class Tour:
    """What happened when the SDK called every operation of the sandbox."""

    api: SdkApi
    factory: EntityFactory
    compared: list[Compared]
    created: Mapping[str, tuple[Mapping[str, Json], Mapping[str, Json]]]
    """By operation, what the SDK sent to create an object, and what it then read."""

    def accepted(self, operation: str) -> list[Call]:
        """Return all successful calls of an operation."""
        return [one for one in self.api.calls if one.operation == operation and one.envelope["code"] == 0]

    def data_of(self, operation: str) -> list[Json]:
        """Return the data of all successful responses of an operation."""
        return [one.envelope["data"] for one in self.accepted(operation)]


@pytest.fixture(scope="package")
def host() -> Iterator[Host]:
    """Run one sandbox for all tests with the SDK."""
    with Host.run(replace(PLAN, smart_plus_story=True, gmv_max=True)) as running:
        yield running


@pytest.fixture(scope="package")
def sent_requests(host: Host, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return the log of every kind of request the product sends, with numbers as in JSON."""
    with open_harness(host, tmp_path_factory.mktemp("ledger")) as harness:
        send_every_request(harness)
        log: list[dict[str, Any]] = json.loads(json.dumps(host.requests, default=float))
        return log


@pytest.fixture(scope="package")
def tour(host: Host, sent_requests: list[dict[str, Any]]) -> Iterator[Tour]:
    """Let the SDK create and change objects of every level, then read all of them as the client does and more."""
    with httpx.Client(base_url=host.sandbox.base_url, timeout=10) as http:
        api = SdkApi(host.sandbox, http)
        factory = factory_for(api)
        created = create_objects(factory) | create_smart_plus_objects(SmartPlusFactory(factory))
        change_objects(factory)
        change_smart_plus_objects(SmartPlusFactory(factory))
        code = api.control("POST", "auth_codes")["auth_code"]
        api.post("oauth2/access_token", app_id=api.sandbox.app_id, secret=api.sandbox.secret, auth_code=code)
        use_report_tasks(api, factory.account)
        reads = [*list_reads_of_the_client(sent_requests), *list_other_reads(api, factory.account)]
        yield Tour(api, factory, list(compare_reads(api, reads)), created)


def create_objects(factory: EntityFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Create a campaign, an ad group and an ad, and read each."""
    campaign = factory.campaign_body()
    campaign_id = factory.post("campaign/create", **campaign)["campaign_id"]
    group = factory.ad_group_body(campaign_id)
    group_id = factory.post("adgroup/create", **group)["adgroup_id"]
    ad = factory.creative()
    (ad_id,) = factory.post("ad/create", adgroup_id=group_id, creatives=[ad])["ad_ids"]
    return {
        "campaign/create": (campaign, factory.read("campaign/get", campaign_ids=[campaign_id])),
        "adgroup/create": (group, factory.read("adgroup/get", adgroup_ids=[group_id])),
        "ad/create": (ad, factory.read("ad/get", ad_ids=[ad_id])),
    }


def use_report_tasks(api: SdkApi, account: str) -> None:
    """Create a report task, and cancel it."""
    api.control("POST", "tasks", queue_seconds=3600)
    of_account = {"advertiser_id": account}
    report: dict[str, Any] = {"report_type": "BASIC", "data_level": "AUCTION_AD", "dimensions": ["ad_id"]}
    filtering = [{"field_name": "ad_ids", "filter_type": "IN", "filter_value": '["1"]'}]
    created = api.post(
        "report/task/create", **of_account, **report, metrics=["spend"], filtering=filtering, **DAYS
    )
    api.post("report/task/cancel", **of_account, task_id=created["data"]["task_id"])


def create_smart_plus_objects(smart_plus: SmartPlusFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Create an Upgraded Smart+ campaign, an ad group and an ad with a creative of each kind, and read each."""
    factory = smart_plus.factory
    campaign = smart_plus.campaign_body()
    campaign_id = factory.post("smart_plus/campaign/create", **campaign)["campaign_id"]
    group = smart_plus.ad_group_body(campaign_id, operation_status="DISABLE")
    group_id = factory.post("smart_plus/adgroup/create", **group)["adgroup_id"]
    creatives = (smart_plus.video(), smart_plus.carousel(), smart_plus.post())
    ad = smart_plus.ad_body(group_id, *creatives, operation_status="DISABLE")
    ad_id = factory.post("smart_plus/ad/create", **ad)["smart_plus_ad_id"]
    return {
        "smart_plus/campaign/create": (
            campaign,
            factory.read("smart_plus/campaign/get", campaign_ids=[campaign_id]),
        ),
        "smart_plus/adgroup/create": (group, factory.read("smart_plus/adgroup/get", adgroup_ids=[group_id])),
        "smart_plus/ad/create": (ad, factory.read("smart_plus/ad/get", smart_plus_ad_ids=[ad_id])),
    }


def change_objects(factory: EntityFactory) -> None:
    """Rename, switch off and delete objects of every level."""
    campaign = factory.campaign()
    group = factory.ad_group(campaign)
    ad = factory.ad(group)
    patch = {"ad_id": ad, "ad_name": NEW_NAME}
    factory.post("campaign/update", campaign_id=campaign, campaign_name=NEW_NAME)
    factory.post("adgroup/update", adgroup_id=group, adgroup_name=NEW_NAME, budget=70)
    factory.post("ad/update", adgroup_id=group, patch_update=True, creatives=[patch])
    factory.post("ad/status/update", ad_ids=[ad], operation_status="DISABLE")
    factory.post("adgroup/status/update", adgroup_ids=[group], operation_status="DISABLE")
    factory.post("campaign/status/update", campaign_ids=[campaign], operation_status="DELETE")


def change_smart_plus_objects(smart_plus: SmartPlusFactory) -> None:
    """Switch off and delete Upgraded Smart+ objects of every level."""
    factory = smart_plus.factory
    campaign = smart_plus.campaign(campaign_name=NEW_NAME)
    group = smart_plus.ad_group(campaign, adgroup_name=NEW_NAME)
    ad = smart_plus.ad(group, ad_name=NEW_NAME)
    factory.post("smart_plus/ad/status/update", smart_plus_ad_ids=[ad], operation_status="DISABLE")
    factory.post("smart_plus/adgroup/status/update", adgroup_ids=[group], operation_status="DISABLE")
    factory.post("smart_plus/campaign/status/update", campaign_ids=[campaign], operation_status="DELETE")


def list_reads_of_the_client(requests: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield one read of each kind that the client sends: same parameters, level and dimensions."""
    kinds = {
        (one["path"], *sorted(query := one["query"]), query.get("data_level"), query.get("dimensions")): one
        for one in requests
        if one["method"] == "GET"
        and one["path"] in load_operations()
        and "item_ids" not in one["query"]  # the SDK can ask for one post only
    }
    for one in kinds.values():
        operation = load_operations()[one["path"]]
        query = operation.decode_query(one["query"])
        yield one["path"], {name: value for name, value in query.items() if name in operation.parameters}


def list_other_reads(api: SdkApi, account: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """Yield reads of all objects, of an image and a video, and of materials and shops with every dimension."""
    everything = {"primary_status": "STATUS_ALL"}
    for one in api.sandbox.world.advertisers.values():
        if one.granted:
            for operation in LISTS[""]:
                yield operation, {"advertiser_id": one.id, "page_size": 1000, "filtering": everything}
            for operation in LISTS["smart_plus"]:
                yield operation, {"advertiser_id": one.id, "page_size": 100, "filtering": everything}
    of_account = {"advertiser_id": account}
    yield "file/image/ad/info", {**of_account, "image_ids": [library_image(account)]}
    yield "file/video/ad/info", {**of_account, "video_ids": [library_video(account)]}
    for material in MATERIALS:
        query = {**of_account, "dimensions": ["smart_plus_ad_id", material], "metrics": ["spend", "impressions"]}
        yield "smart_plus/material_report/overview", {**query, **DAYS}
    daily = {**of_account, "dimensions": ["main_material_id", "stat_time_day"], "metrics": ["spend"], **DAYS}
    yield "smart_plus/material_report/breakdown", daily
    yield "gmv_max/store/list", of_account
    store, *_ = api.get("gmv_max/store/list", **of_account)["data"]["store_list"]
    for promotion_type in ("PRODUCT", "LIVE"):
        query = {**of_account, "store_ids": [store["store_id"]], "dimensions": ["campaign_id", "stat_time_day"]}
        query |= {"metrics": ["cost", "orders", "gross_revenue"], **DAYS}
        yield "gmv_max/report/get", {**query, "filtering": {"gmv_max_promotion_types": [promotion_type]}}


def compare_reads(api: SdkApi, reads: Iterable[tuple[str, dict[str, Json]]]) -> Iterator[Compared]:
    """Send reads by the SDK and by plain HTTP."""
    plain = Api(api.sandbox, api.http)
    for path, query in reads:
        if "secret" in load_operations()[path].parameters:  # is not in the log
            query["secret"] = api.sandbox.secret
        yield Compared(path, query, api.get(path, **query), plain.get(path, **query))
