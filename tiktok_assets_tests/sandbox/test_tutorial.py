"""Tests with the steps of the tutorial, and of the parameters that a write requires."""

import json
from decimal import Decimal
from typing import Any

from tiktok_assets_tests.contracts.contract import find_request_violations, load_contract
from tiktok_assets_tests.sandbox.conftest import REPORT, Api
from tiktok_assets_tests.sandbox.factory import EntityFactory


def test_tutorial_steps(api: Api, accounts: list[str]) -> None:
    """The tutorial's steps with v1.3 names find the highest-spending ad of a campaign."""
    account = accounts[0]
    campaigns = api.get("campaign/get", advertiser_id=account, page_size=1000)["data"]["list"]
    campaign = next(one for one in campaigns if one["campaign_name"].startswith("Testing"))
    filtering = {"campaign_ids": [campaign["campaign_id"]]}
    ad_groups = api.get("adgroup/get", advertiser_id=account, page_size=1000, filtering=filtering)["data"]["list"]
    assert {campaign["campaign_id"]} == {one["campaign_id"] for one in ad_groups}
    ads = []
    for ad_group in ad_groups:
        of_group = {"adgroup_ids": [ad_group["adgroup_id"]]}
        ads += api.get("ad/get", advertiser_id=account, page_size=1000, filtering=of_group)["data"]["list"]
    report = api.get(
        REPORT,
        advertiser_id=account,
        report_type="BASIC",
        query_lifetime=True,
        data_level="AUCTION_AD",
        dimensions=["ad_id"],
        page_size=1000,
        filtering=[
            {
                "field_name": "campaign_ids",
                "filter_type": "IN",
                "filter_value": json.dumps([int(campaign["campaign_id"])]),
            }
        ],
    )["data"]["list"]
    assert {one["ad_id"] for one in ads} == {row["dimensions"]["ad_id"] for row in report}
    assert {"spend", "impressions"} == set(report[0]["metrics"])
    highest = max(report, key=lambda row: Decimal(row["metrics"]["spend"]))
    scenario = api.sandbox.world.scenario
    assert scenario
    assert scenario.new_leader_ad_id == highest["dimensions"]["ad_id"]


def test_required_parameters_are_required(factory: EntityFactory) -> None:
    """Bodies of the factory follow the request contracts, and a missing required parameter is refused by name."""
    group, campaign = factory.old_ad_group(), factory.scaling()
    bodies: dict[str, dict[str, Any]] = {
        "campaign/create": factory.campaign_body(),
        "campaign/update": {"campaign_id": campaign, "campaign_name": factory.name()},
        "campaign/status/update": {"campaign_ids": [campaign], "operation_status": "ENABLE"},
        "adgroup/create": factory.ad_group_body(campaign),
        "adgroup/update": {"adgroup_id": group, "adgroup_name": factory.name()},
        "adgroup/status/update": {"adgroup_ids": [group], "operation_status": "ENABLE"},
        "ad/create": {"adgroup_id": group, "creatives": [factory.creative()]},
        "ad/update": {"adgroup_id": group, "creatives": [factory.creative(ad_id="1")]},
        "ad/status/update": {"ad_ids": ["1"], "operation_status": "DISABLE"},
    }
    headers = {"Access-Token": "t", "Content-Type": "application/json"}
    for path, fields in bodies.items():
        contract, body = load_contract(path), {"advertiser_id": factory.account, **fields}
        url = f"/open_api/v1.3/{path}/"
        assert find_request_violations(contract, "POST", url, query={}, body=body, headers=headers) == []
        for name, parameter in contract.request.parameters.items():
            if not parameter.required:
                continue
            incomplete, at = _without(body, name)
            code, message = factory.refused(path, **{"advertiser_id": None, **incomplete})
            assert (code, message) == (40002, f"{at}: Missing data for required field."), path


def _without(body: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Return a body without one parameter, and the parameter's dotted path in errors."""
    outer, is_nested, inner = name.partition("[].")
    if not is_nested:
        return {key: value for key, value in body.items() if key != name}, name
    (item,) = body[outer]
    return {**body, outer: [{key: value for key, value in item.items() if key != inner}]}, f"{outer}.0.{inner}"
