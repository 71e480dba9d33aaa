"""Fixtures: every request of the product, and every operation of the sandbox called by TikTok's SDK."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tiktok_assets.sandbox.reads.media import library_image
from tiktok_assets_tests.api.conftest import Host
from tiktok_assets_tests.duplication.harness import PLAN, open_harness
from tiktok_assets_tests.every_request import send_every_request
from tiktok_assets_tests.official_sdk.operations import load_operations
from tiktok_assets_tests.official_sdk.sdk_api import SdkApi
from tiktok_assets_tests.sandbox.conftest import Api, factory_for
from tiktok_assets_tests.sandbox.factory import EntityFactory

Json = Any  # any JSON value
NEW_NAME = "Renamed by the SDK"


@dataclass(frozen=True)
class Compared:
    """One read of the client, sent by the SDK and by plain HTTP."""

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
    """By level, what the SDK sent to create an object, and what it then read."""

    def data_of(self, operation: str) -> list[Json]:
        """Return the data of all successful responses of an operation."""
        return [one["data"] for name, one in self.api.responses if name == operation and one["code"] == 0]


@pytest.fixture(scope="package")
def host() -> Iterator[Host]:
    """Run one sandbox for all tests with the SDK."""
    with Host.run(PLAN) as running:
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
    """Let the SDK create and change objects of every level, then send each kind of read that the client sent."""
    with httpx.Client(base_url=host.sandbox.base_url, timeout=10) as http:
        api = SdkApi(host.sandbox, http)
        factory = factory_for(api)
        created = create_objects(factory)
        change_objects(factory)
        call_other_operations(api)
        yield Tour(api, factory, list(compare_reads(api, sent_requests)), created)


def create_objects(factory: EntityFactory) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Create a campaign, an ad group and an ad, and read each."""
    campaign = factory.campaign_body()
    campaign_id = factory.post("campaign/create", **campaign)["campaign_id"]
    group = factory.ad_group_body(campaign_id)
    group_id = factory.post("adgroup/create", **group)["adgroup_id"]
    ad = factory.creative()
    (ad_id,) = factory.post("ad/create", adgroup_id=group_id, creatives=[ad])["ad_ids"]
    return {
        "campaign": (campaign, factory.read("campaign/get", campaign_ids=[campaign_id])),
        "adgroup": (group, factory.read("adgroup/get", adgroup_ids=[group_id])),
        "ad": (ad, factory.read("ad/get", ad_ids=[ad_id])),
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


def call_other_operations(api: SdkApi) -> None:
    """Read all objects of all accounts, an image of the asset library, and exchange a code."""
    sandbox = api.sandbox
    accounts = [one.id for one in sandbox.world.advertisers.values() if one.granted]
    for operation in ("campaign/get", "adgroup/get", "ad/get"):
        for account in accounts:
            everything = {"primary_status": "STATUS_ALL"}
            api.get(operation, advertiser_id=account, page_size=1000, filtering=everything)
    api.get("file/image/ad/info", advertiser_id=accounts[0], image_ids=[library_image(accounts[0])])
    code = api.control("POST", "auth_codes")["auth_code"]
    api.post("oauth2/access_token", app_id=sandbox.app_id, secret=sandbox.secret, auth_code=code)


def compare_reads(api: SdkApi, requests: list[dict[str, Any]]) -> Iterator[Compared]:
    """Send one read of each kind by the SDK and by plain HTTP: same parameters, level and dimensions."""
    kinds = {
        (one["path"], *sorted(query := one["query"]), query.get("data_level"), query.get("dimensions")): one
        for one in requests
        if one["method"] == "GET" and one["path"] in load_operations()
    }
    plain = Api(api.sandbox, api.http)
    for one in kinds.values():
        operation = load_operations()[one["path"]]
        query = operation.decode_query(one["query"])
        if "secret" in operation.parameters:  # is not in the log
            query["secret"] = api.sandbox.secret
        known = {name: value for name, value in query.items() if name in operation.parameters}
        yield Compared(one["path"], query, api.get(one["path"], **known), plain.get(one["path"], **known))
