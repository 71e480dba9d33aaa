"""Create campaigns, ad groups and ads that the sandbox accepts."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from tiktok_assets_tests.sandbox.conftest import Api

_numbers = count(1)


@dataclass
class EntityFactory:
    """Creates entities in one account, and builds valid bodies for it."""

    api: Api
    account: str
    media: dict[str, Any]

    def name(self) -> str:
        """Return an unused name."""
        return f"Draft {next(_numbers)}"

    def campaign_body(self, **other: object) -> dict[str, Any]:
        """Return the body of campaign/create without the account."""
        body = {
            "objective_type": "WEB_CONVERSIONS",
            "campaign_name": self.name(),
            "budget_mode": "BUDGET_MODE_INFINITE",
        }
        return _without_none({**body, **other})

    def ad_group_body(self, campaign_id: str, /, **other: object) -> dict[str, Any]:
        """Return the body of adgroup/create without the account."""
        body = {
            "campaign_id": campaign_id,
            "adgroup_name": self.name(),
            "promotion_type": "WEBSITE",
            "placement_type": "PLACEMENT_TYPE_NORMAL",
            "placements": ["PLACEMENT_TIKTOK"],
            "location_ids": ["6252001"],
            "budget_mode": "BUDGET_MODE_DYNAMIC_DAILY_BUDGET",
            "budget": 50,
            "schedule_type": "SCHEDULE_FROM_NOW",
            "schedule_start_time": "2026-11-09 18:00:00",
            "optimization_goal": "CONVERT",
            "billing_event": "OCPM",
            "bid_type": "BID_TYPE_NO_BID",
            "pacing": "PACING_MODE_SMOOTH",
            "pixel_id": "7000000000000000003",
            "optimization_event": "SHOPPING",
        }
        return _without_none({**body, **other})

    def creative(self, **other: object) -> dict[str, Any]:
        """Return one creative of ad/create."""
        body = {
            "ad_name": self.name(),
            "identity_type": "TT_USER",
            "identity_id": str(int(self.account) + 1),
            "ad_format": "SINGLE_VIDEO",
            **self.media,
            "ad_text": "Try it today",
            "call_to_action": "LEARN_MORE",
            "landing_page_url": "https://shop.example/",
        }
        return _without_none({**body, **other})

    def post(self, path: str, **body: Any) -> dict[str, Any]:  # noqa: ANN401  # any body
        """Return the data of a write that must succeed."""
        response = self.api.post(path, **{"advertiser_id": self.account, **body})
        assert response["code"] == 0, response
        data: dict[str, Any] = response["data"]
        return data

    def refused(self, path: str, **body: Any) -> tuple[int, str]:  # noqa: ANN401  # any body
        """Return code and message of a write that must fail."""
        response = self.api.post(path, **{"advertiser_id": self.account, **body})
        assert response["code"] != 0
        assert response["data"] == {}
        return response["code"], response["message"]

    def scaling(self) -> str:
        """Return the id of the scenario's scaling campaign."""
        scenario = self.api.sandbox.world.scenario
        assert scenario
        return scenario.scaling_campaign_id

    def old_ad_group(self) -> str:
        """Return the id of a generated ad group of the scaling campaign."""
        filtering = {"campaign_ids": [self.scaling()]}
        groups = self.api.get("adgroup/get", advertiser_id=self.account, page_size=1000, filtering=filtering)
        return str(groups["data"]["list"][-1]["adgroup_id"])

    def campaign(self, **other: object) -> str:
        """Create a campaign and return its id."""
        return str(self.post("campaign/create", **self.campaign_body(**other))["campaign_id"])

    def ad_group(self, campaign_id: str | None = None, **other: object) -> str:
        """Create an ad group, by default in a new campaign, and return its id."""
        campaign_id = campaign_id or self.campaign()
        return str(self.post("adgroup/create", **self.ad_group_body(campaign_id, **other))["adgroup_id"])

    def ad(self, adgroup_id: str | None = None, **other: object) -> str:
        """Create an ad, by default in a new ad group, and return its id."""
        group = adgroup_id or self.ad_group()
        (ad_id,) = self.post("ad/create", adgroup_id=group, creatives=[self.creative(**other)])["ad_ids"]
        return str(ad_id)

    def read(self, path: str, **filtering: object) -> dict[str, Any]:
        """Return the only entity that matches a filter, even if it is deleted."""
        filters = {"primary_status": "STATUS_ALL", **filtering}
        (item,) = self.api.get(path, advertiser_id=self.account, filtering=filters)["data"]["list"]
        entity: dict[str, Any] = item
        return entity


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
