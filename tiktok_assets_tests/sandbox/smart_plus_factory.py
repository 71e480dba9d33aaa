"""Create Upgraded Smart+ campaigns, ad groups and ads that the sandbox accepts."""

from itertools import count
from typing import Any

from tiktok_assets_tests.sandbox.factory import EntityFactory

_request_ids = count(880_001)


class SmartPlusFactory:
    """Creates Upgraded Smart+ entities in the account of a factory, and builds valid bodies for them.

    A field of a body whose new value is None is left out.
    """

    def __init__(self, factory: EntityFactory) -> None:
        self.factory = factory
        self.identity_id = str(int(factory.account) + 1)
        self.creator_id = str(int(factory.account) + 2)

    def campaign_body(self, **other: object) -> dict[str, Any]:
        """Return the body of smart_plus/campaign/create without the account."""
        body = {
            "request_id": str(next(_request_ids)),
            "objective_type": "WEB_CONVERSIONS",
            "sales_destination": "WEBSITE",
            "campaign_name": self.factory.name(),
            "budget": 300,
        }
        return _without_none({**body, **other})

    def ad_group_body(self, campaign_id: str, /, **other: object) -> dict[str, Any]:
        """Return the body of smart_plus/adgroup/create without the account."""
        body = {
            "request_id": str(next(_request_ids)),
            "campaign_id": campaign_id,
            "adgroup_name": self.factory.name(),
            "promotion_type": "WEBSITE",
            "optimization_goal": "CONVERT",
            "pixel_id": "7000000000000000003",
            "optimization_event": "SHOPPING",
            "bid_type": "BID_TYPE_NO_BID",
            "billing_event": "OCPM",
            "schedule_type": "SCHEDULE_FROM_NOW",
            "schedule_start_time": "2026-11-09 18:00:00",
            "targeting_spec": {"location_ids": ["6252001"]},
        }
        return _without_none({**body, **other})

    def video(self, **other: object) -> dict[str, Any]:
        """Return a creative of a video with its cover, which becomes a post of the account's own identity."""
        media = self.factory.media
        info = {
            "ad_format": "SINGLE_VIDEO",
            "video_info": {"video_id": media["video_id"]},
            "image_info": [{"web_uri": media["image_ids"][0]}],
            "identity_type": "TT_USER",
            "identity_id": self.identity_id,
        }
        return {"creative_info": _without_none({**info, **other})}

    def carousel(self, **other: object) -> dict[str, Any]:
        """Return a creative of a carousel with one image and music."""
        carousel = {"ad_format": "CAROUSEL_ADS", "music_info": {"music_id": "7000000000000000021"}}
        return self.video(video_info=None, **{**carousel, **other})

    def post(self, **other: object) -> dict[str, Any]:
        """Return a creative of a creator's post."""
        info = {
            "ad_format": "SINGLE_VIDEO",
            "tiktok_item_id": self.creators_post(),
            "identity_type": "AUTH_CODE",
            "identity_id": self.creator_id,
        }
        return {"creative_info": _without_none({**info, **other})}

    def creators_post(self) -> str:
        """Return the id of a post of the creator."""
        ads = self.factory.api.get("ad/get", advertiser_id=self.factory.account, page_size=1000)["data"]["list"]
        return next(str(one["tiktok_item_id"]) for one in ads if one["identity_id"] == self.creator_id)

    def ad_body(self, adgroup_id: str, /, *creatives: dict[str, Any], **other: object) -> dict[str, Any]:
        """Return the body of smart_plus/ad/create without the account, by default with one video."""
        body = {
            "adgroup_id": adgroup_id,
            "ad_name": self.factory.name(),
            "creative_list": list(creatives) or [self.video()],
            "ad_text_list": [{"ad_text": "Try it today"}, {"ad_text": "Only this week"}],
            "landing_page_url_list": [{"landing_page_url": "https://shop.example/"}],
            "ad_configuration": {"call_to_action_id": "7000000000000000031"},
        }
        return _without_none({**body, **other})

    def campaign(self, **other: object) -> str:
        """Create a campaign and return its id."""
        return str(self.factory.post("smart_plus/campaign/create", **self.campaign_body(**other))["campaign_id"])

    def ad_group(self, campaign_id: str | None = None, **other: object) -> str:
        """Create an ad group, by default in a new campaign, and return its id."""
        body = self.ad_group_body(campaign_id or self.campaign(), **other)
        return str(self.factory.post("smart_plus/adgroup/create", **body)["adgroup_id"])

    def ad(self, adgroup_id: str | None = None, *creatives: dict[str, Any], **other: object) -> str:
        """Create an ad, by default in a new ad group, and return its id."""
        body = self.ad_body(adgroup_id or self.ad_group(), *creatives, **other)
        return str(self.factory.post("smart_plus/ad/create", **body)["smart_plus_ad_id"])


def _without_none(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if value is not None}
