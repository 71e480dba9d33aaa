"""Ready-made bodies of writes: a campaign, an ad group and an ad that the sandbox accepts."""

from dataclasses import dataclass
from itertools import count
from typing import Any

from tiktok_assets_tests.sandbox.conftest import Api

_numbers = count(1)


@dataclass
class EntityFactory:
    """Writes to one account as a careful human would."""

    api: Api
    account: str
    media: dict[str, Any]

    def name(self) -> str:
        """Return a name nobody has."""
        return f"Draft {next(_numbers)}"

    def campaign_body(self, **other: object) -> dict[str, Any]:
        """Return the body of campaign/create, but for the account."""
        body = {
            "objective_type": "WEB_CONVERSIONS",
            "campaign_name": self.name(),
            "budget_mode": "BUDGET_MODE_INFINITE",
        }
        return _without_none({**body, **other})

    def ad_group_body(self, campaign_id: str, /, **other: object) -> dict[str, Any]:
        """Return the body of adgroup/create, but for the account."""
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
        answer = self.api.post(path, **{"advertiser_id": self.account, **body})
        assert answer["code"] == 0, answer
        data: dict[str, Any] = answer["data"]
        return data

    def refused(self, path: str, **body: Any) -> tuple[int, str]:  # noqa: ANN401  # any body
        """Return code and message of a write that must fail."""
        answer = self.api.post(path, **{"advertiser_id": self.account, **body})
        assert answer["code"] != 0
        assert answer["data"] == {}
        return answer["code"], answer["message"]

    def scaling(self) -> str:
        """Return the story's scaling campaign."""
        story = self.api.sandbox.world.scenario
        assert story
        return story.scaling_campaign_id

    def old_ad_group(self) -> str:
        """Return an ad group that the scaling campaign has had from the beginning."""
        chosen = {"campaign_ids": [self.scaling()]}
        groups = self.api.get("adgroup/get", advertiser_id=self.account, page_size=1000, filtering=chosen)
        return str(groups["data"]["list"][-1]["adgroup_id"])

    def campaign(self, **other: object) -> str:
        """Create a campaign and return its id."""
        return str(self.post("campaign/create", **self.campaign_body(**other))["campaign_id"])

    def ad_group(self, campaign_id: str | None = None, **other: object) -> str:
        """Create an ad group, by itself in a campaign of its own, and return its id."""
        campaign_id = campaign_id or self.campaign()
        return str(self.post("adgroup/create", **self.ad_group_body(campaign_id, **other))["adgroup_id"])

    def ad(self, adgroup_id: str | None = None, **other: object) -> str:
        """Create an ad, by itself in an ad group of its own, and return its id."""
        group = adgroup_id or self.ad_group()
        (ad_id,) = self.post("ad/create", adgroup_id=group, creatives=[self.creative(**other)])["ad_ids"]
        return str(ad_id)

    def read(self, path: str, **filtering: object) -> dict[str, Any]:
        """Return the one entity a filter leaves, deleted ones included."""
        wanted = {"primary_status": "STATUS_ALL", **filtering}
        (item,) = self.api.get(path, advertiser_id=self.account, filtering=wanted)["data"]["list"]
        found: dict[str, Any] = item
        return found


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
