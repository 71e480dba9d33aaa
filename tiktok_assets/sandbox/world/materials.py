"""Split the delivery of Upgraded Smart+ creatives by their materials: main material, ad text, button and add-on.

What a creative is (a video, a post, a carousel, a catalog) and which texts and buttons its ad has follow from the
world. How its delivery is split over them is our own choice: by a weight that is fixed for the creative and the
element, exact for every column but reach.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tiktok_assets.sandbox.world.ad_delivery import IMPRESSIONS, REACH, Vector
from tiktok_assets.sandbox.world.api_objects import CUSTOM_IDENTITY, ad_item, post_of, stable_id
from tiktok_assets.sandbox.world.model import Ad, SmartPlusAd

MATERIAL_TYPES = (  # mengxingxinqing/tiktok_ads, run_an_upgraded_smart_creative_overview_report
    *("VIDEO_NON_SPARK_ADS", "VIDEO_SPARK_ADS", "CAROUSEL_NON_SPARK_ADS", "CAROUSEL_SPARK_ADS"),
    *("SINGLE_IMAGE_NON_SPARK_ADS", "CATALOG_VIDEO", "CATALOG_VIDEO_TEMPLATE", "CATALOG_CAROUSEL"),
    "CATALOG_MULTI_SHOW",
)


@dataclass(frozen=True)
class Element:
    """One element of a creative.

    Attributes:
        id: Its id in reports; equal elements of several ads of an account have the same.
        type: Its type in reports.
        names: The attributes that name it in reports.
    """

    id: str
    type: str
    names: dict[str, str] = field(compare=False, default_factory=dict)


def main_material(ad: Ad, now: int) -> Element:
    """Return the main material of a creative.

    A pushed video or carousel is a post of its identity, and so of the type of Spark Ads; that is our reading.
    """
    shown = ad_item(ad, now)
    if shown["ad_format"] == "CATALOG_CAROUSEL":
        catalog = ad.ad_group.smart_plus_fields.get("catalog_id") or stable_id("catalog", shown["advertiser_id"])
        return _main("CATALOG_CAROUSEL", catalog, "Catalog")
    kind = "CAROUSEL" if shown["ad_format"] == "CAROUSEL_ADS" else "VIDEO"
    if shown["identity_type"] != CUSTOM_IDENTITY:
        return _main(f"{kind}_SPARK_ADS", post_of(ad), f"Post {post_of(ad)}")
    if kind == "CAROUSEL":
        return _main("CAROUSEL_NON_SPARK_ADS", stable_id("carousel", *shown["image_ids"]), ad.name)
    return _main("VIDEO_NON_SPARK_ADS", material_of_video(shown["video_id"]), file_name_of(shown["video_id"]))


def _main(kind: str, element_id: str, name: str) -> Element:
    return Element(element_id, kind, {"main_material_name": name})


def material_of_video(video: str) -> str:
    """Return the id of the creative that a video is in the library of its account."""
    return stable_id("material", video)


def file_name_of(video: str) -> str:
    """Return the name of the file of a video."""
    return f"{video}.mp4"


def _texts(owner: SmartPlusAd) -> list[Element]:
    account = owner.campaign.advertiser.id
    texts = [one["ad_text"] for one in owner.smart_plus_fields.get("ad_text_list", ())]
    return [Element(stable_id("ad text", account, text), "text", {"ad_text": text}) for text in texts]


def _calls_to_action(owner: SmartPlusAd) -> list[Element]:
    account, fields = owner.campaign.advertiser.id, owner.smart_plus_fields
    listed = [one["call_to_action"] for one in fields.get("call_to_action_list", ())]
    elements = [
        Element(stable_id("call to action", account, one), "manual_call_to_action", {"call_to_action": one})
        for one in listed
    ]
    if not elements and (portfolio := fields.get("ad_configuration", {}).get("call_to_action_id")):
        elements = [Element(portfolio, "dynamic_call_to_action", {"call_to_action": "Dynamic"})]
    return elements


def _add_ons(owner: SmartPlusAd) -> list[Element]:
    cards: list[str] = [one["card_id"] for one in owner.smart_plus_fields.get("interactive_add_on_list", ())]
    return [
        Element(
            stable_id("add-on", card),
            "add_on",
            {"interactive_add_on_name": f"Add-on {card}", "interactive_add_on_id": card},
        )
        for card in cards
    ]


# Dimensions of settings: the elements of the ad over which the delivery of each of its creatives is split.
SETTINGS: dict[str, Callable[[SmartPlusAd], list[Element]]] = {
    "ad_text_entity_id": _texts,
    "call_to_action_entity_id": _calls_to_action,
    "interactive_add_on_entity_id": _add_ons,
}
MAIN_MATERIAL = "main_material_id"


def elements_of(ad: Ad, owner: SmartPlusAd, dimension: str, now: int) -> list[Element]:
    """Return the elements of a creative in a dimension; a post without texts of its ad has no text there."""
    return [main_material(ad, now)] if dimension == MAIN_MATERIAL else SETTINGS[dimension](owner)


def split_by_elements(
    vector: Vector, ad: Ad, elements: list[list[Element]]
) -> list[tuple[tuple[Element, ...], Vector]]:
    """Return the parts of a delivery with their elements, one of each dimension; none if a dimension has none."""
    parts: list[tuple[tuple[Element, ...], Vector]] = [((), vector)]
    for choices in elements:
        parts = [
            ((*chosen, element), part)
            for chosen, whole in parts
            for element, part in _split(whole, ad, choices)
            if any(part)
        ]
    return parts


def _split(vector: Vector, ad: Ad, elements: list[Element]) -> list[tuple[Element, Vector]]:
    weights = [100 // (position + 1) + int(stable_id(ad.id, one.id)) % 21 for position, one in enumerate(elements)]
    total, start = sum(weights), 0
    parts: list[tuple[Element, Vector]] = []
    for element, weight in zip(elements, weights, strict=True):
        end = start + weight
        part: Any = array("q", (value * end // total - value * start // total for value in vector))
        if vector[REACH] and part[IMPRESSIONS]:
            part[REACH] = max(part[REACH], 1)
        parts.append((element, part))
        start = end
    return parts
