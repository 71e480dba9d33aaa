"""Add Upgraded Smart+ campaigns to a world: a small one, and a story with creatives of all formats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tiktok_assets.sandbox.world.api_objects import CUSTOM_IDENTITY, OWNER_BC_ID, stable_id
from tiktok_assets.sandbox.world.builder import DAY_SECONDS, LEADER_WEIGHT, Builder
from tiktok_assets.sandbox.world.leader_scripts import NEW_LEADER, OLD_LEADER, Script, set_script
from tiktok_assets.sandbox.world.model import Ad, AdGroup, Advertiser, Campaign, Scenario, SmartPlusAd
from tiktok_assets.sandbox.world.smart_plus_objects import UPGRADED

SMART_PLUS_CREATIVES = (3, 2)  # of each Upgraded Smart+ ad of the campaign that is always there
SMALL_DOLLARS_A_DAY = 2.0  # of creatives that are far below the leaders
AUTHORIZATION_ENDED_DAYS = 2  # before the anchor, of one creator's post
# The spend of the story's two leading creatives: that of the manual story, times six fifths.
_NUMERATOR, _DENOMINATOR = 6, 5

# No restriction, as in the example of get_upgraded_smart_ad_groups.
ALL_AGE_GROUPS = ["AGE_18_24", "AGE_25_34", "AGE_35_44", "AGE_45_54", "AGE_55_100"]

Fields = dict[str, Any]


@dataclass(frozen=True)
class Identities:
    """The fields of identities of an account, by kind (`api_objects.identities_of`)."""

    advertiser: Advertiser

    def fields(self, kind: str) -> Fields:
        """Return the fields of a brand's, a creator's, a business center's or a custom identity."""
        offset = {"TT_USER": 1, "AUTH_CODE": 2, "BC_AUTH_TT": 3, CUSTOM_IDENTITY: 4}[kind]
        owner = {"identity_authorized_bc_id": OWNER_BC_ID} if kind == "BC_AUTH_TT" else {}
        return {"identity_type": kind, "identity_id": str(int(self.advertiser.id) + offset), **owner}

    def video(self, name: str, kind: str = "TT_USER") -> Fields:
        """Return the fields of a video with its cover; equal names are the same video."""
        video = f"v10044g50000s{stable_id('video', self.advertiser.id, name)}"
        cover = f"tos-alisg-p-0051c001-sg/adsmanager{video}"  # not in the library (get_info_about_images)
        return {"ad_format": "SINGLE_VIDEO", "video_id": video, "image_ids": [cover], **self.fields(kind)}

    def post(self, name: str, kind: str) -> Fields:
        """Return the fields of an existing post of an identity."""
        post = stable_id("post", self.advertiser.id, name)
        return {
            "ad_format": "SINGLE_VIDEO",
            "video_id": None,
            "image_ids": [],
            "tiktok_item_id": post,
            **self.fields(kind),
        }

    def carousel(self, name: str) -> Fields:
        """Return the fields of a pushed carousel of three images with music."""
        images = [
            f"tos-alisg-p-0051c001-sg/carousel{stable_id(name, self.advertiser.id)}{number}" for number in range(3)
        ]
        return {
            "ad_format": "CAROUSEL_ADS",
            "video_id": None,
            "image_ids": images,
            "music_id": stable_id("music", name),
            **self.fields("TT_USER"),
        }


def add_smart_plus_campaign(builder: Builder, advertiser: Advertiser) -> None:
    """Add an Upgraded Smart+ campaign, in which `ad_id` is the id of a creative (API notes 5.7)."""
    campaign = builder.campaign(advertiser, "Smart+ | Catalogue", "WEB_CONVERSIONS", 50.3)
    campaign.fields = {"campaign_automation_type": UPGRADED}
    ad_group = builder.ad_group(campaign, "Smart+ | Automatic audience", campaign.created + 60)
    for number, creatives in enumerate(SMART_PLUS_CREATIVES):
        owner = _ad(builder, ad_group, f"Smart+ ad {number + 1}", ad_group.created + 60)
        for index in range(creatives):
            is_leader = (number, index) == (0, 0)
            name = f"Smart+ ad {number + 1} | creative {index + 1}"
            dollars = 30 * (LEADER_WEIGHT if is_leader else builder.random.uniform(0.15, 0.9))
            ad = builder.ad(ad_group, name, ad_group.created + 60 + index, dollars)
            ad.smart_plus_ad = owner
            if is_leader:
                builder.make_leader(ad)
        owner.smart_plus_fields |= _texts([one.text for one in owner.creatives[:1]], ["LEARN_MORE"], advertiser)
    _finish(builder, ad_group)


def add_smart_plus_story(builder: Builder, advertiser: Advertiser) -> Scenario:
    """Add Upgraded Smart+ campaigns: of a leader change, to scale its winner in, and with every format.

    In the first one the video of the new leader and a post are in two ads each, and one video in all three.
    """
    known = Identities(advertiser)
    testing = _campaign(builder, advertiser, "Smart+ | New hooks", 71.9)
    first = builder.ad_group(testing, "Smart+ | Automatic audience", testing.created + 60)
    second = builder.ad_group(testing, "Smart+ | Buyers", testing.created + 90)
    stories = _ad(builder, first, "Founder stories", first.created + 60)
    hooks = _ad(builder, second, "New hooks", builder.anchor - int(13.2 * DAY_SECONDS))
    buyers = _ad(builder, second, "Reminders", second.created + 120)
    hooks.smart_plus_fields["interactive_add_on_list"] = [{"card_id": stable_id("card", advertiser.id)}]
    old = _creative(builder, stories, known.video("founder"))
    new = _creative(builder, hooks, known.video("unboxing"))
    small = (
        (stories, known.video("demo")),
        (stories, known.post("review", "TT_USER")),
        (hooks, known.video("demo")),
        (buyers, known.video("unboxing")),
        (buyers, known.video("demo")),
        (buyers, known.post("review", "TT_USER")),
    )
    for owner, fields in small:
        _creative(builder, owner, fields)
    _set_scripts(old, new)
    for owner, texts in (
        (stories, ("Why we started.", "Made by hand.", "Meet the founder.")),
        (hooks, ("Open it with us.", "First look.")),
        (buyers, ("Still thinking about it?",)),
    ):
        owner.smart_plus_fields |= _texts(texts, ("SHOP_NOW", "LEARN_MORE"), advertiser)
        for creative in owner.creatives:
            creative.text = texts[0]
    for ad_group in testing.ad_groups:
        _finish(builder, ad_group)
    scaling = _add_scaling_campaign(builder, advertiser, known)
    _add_post_campaign(builder, advertiser, known)
    _add_catalog_campaign(builder, advertiser)
    return builder.scenario(testing, scaling, old, new)


def _add_scaling_campaign(builder: Builder, advertiser: Advertiser, known: Identities) -> Campaign:
    """Add an Upgraded Smart+ campaign with one ad group and one ad, into which winners may be copied."""
    scaling = _campaign(builder, advertiser, "Scaling | Smart+ winners", 72.6)
    ad_group = builder.ad_group(scaling, "Scaling | Broad", scaling.created + 60)
    owner = _ad(builder, ad_group, "Evergreen", ad_group.created + 60)
    # Posts in a web campaign have a set of calls to action (create_an_upgraded_smart_ad, call_to_action_list).
    owner.smart_plus_fields |= _texts(["The one everybody keeps."], [], advertiser)
    button = {"call_to_action_id": stable_id("call to action", advertiser.id)}
    owner.smart_plus_fields["ad_configuration"] = button
    builder.make_leader(_creative(builder, owner, known.video("evergreen"), 24))
    _creative(builder, owner, known.video("evergreen short"))
    _finish(builder, ad_group)
    return scaling


def _add_post_campaign(builder: Builder, advertiser: Advertiser, known: Identities) -> None:
    """Add a campaign with posts of each kind of identity, a carousel and a video of a custom identity."""
    campaign = _campaign(builder, advertiser, "Smart+ | Creator posts", 64.2)
    ad_group = builder.ad_group(campaign, "Smart+ | Posts", campaign.created + 60)
    posts = _ad(builder, ad_group, "Posts", ad_group.created + 60)  # texts are those of the posts
    button = {"call_to_action_id": stable_id("call to action", advertiser.id)}
    # A web ad has a landing page, whatever it shows (create_a_regular_upgraded_smart_web_campaign).
    page = _texts([], [], advertiser)["landing_page_url_list"]
    posts.smart_plus_fields |= {"ad_configuration": button, "landing_page_url_list": page}
    builder.make_leader(_creative(builder, posts, known.post("brand", "TT_USER") | button, 12))
    for name, kind in (
        ("creator", "AUTH_CODE"),
        ("creator, ended", "AUTH_CODE"),
        ("business center", "BC_AUTH_TT"),
    ):
        _creative(builder, posts, known.post(name, kind) | button)
    carousel = _ad(builder, ad_group, "Carousel", ad_group.created + 70)
    carousel.smart_plus_fields |= _texts(["Three looks."], ["VIEW_NOW"], advertiser)
    _creative(builder, carousel, known.carousel("looks"))
    custom = _ad(builder, ad_group, "Before the migration", ad_group.created + 80)
    custom.smart_plus_fields |= _texts(["Still running."], ["LEARN_MORE"], advertiser)
    custom.smart_plus_fields["ad_configuration"] = known.fields(CUSTOM_IDENTITY)
    _creative(builder, custom, known.video("custom", CUSTOM_IDENTITY))
    _finish(builder, ad_group)


def ended_posts(builder: Builder, advertiser: Advertiser) -> Mapping[str, int]:
    """Return the posts of the story whose authorization has ended, with the instants."""
    ended = Identities(advertiser).post("creator, ended", "AUTH_CODE")["tiktok_item_id"]
    return {ended: builder.days_ago(AUTHORIZATION_ENDED_DAYS)}


def _add_catalog_campaign(builder: Builder, advertiser: Advertiser) -> None:
    """Add a campaign that advertises products of a catalog (create_upgraded_smart_e-commerce_catalog_ads)."""
    campaign = _campaign(builder, advertiser, "Smart+ | Catalogue", 58.7)
    campaign.fields |= {"catalog_enabled": True}
    campaign.smart_plus_fields = {"catalog_type": "ECOMMERCE"}
    ad_group = builder.ad_group(campaign, "Smart+ | All products", campaign.created + 60)
    ad_group.smart_plus_fields = {
        "catalog_id": catalog_of(advertiser),
        "catalog_authorized_bc_id": OWNER_BC_ID,
        "product_source": "CATALOG",
    }
    owner = _ad(builder, ad_group, "Every product", ad_group.created + 60)
    owner.smart_plus_fields |= _texts(["Find yours."], ["SHOP_NOW"], advertiser)
    owner.smart_plus_fields["ad_configuration"] = {
        "catalog_creative_toggle": False,
        "product_specific_type": "ALL",
        **Identities(advertiser).fields("TT_USER"),
    }
    catalog: Fields = {"ad_format": "CATALOG_CAROUSEL", "video_id": None, "image_ids": [], "tiktok_item_id": None}
    builder.make_leader(_creative(builder, owner, catalog | Identities(advertiser).fields("TT_USER"), 9))
    _finish(builder, ad_group)


def catalog_of(advertiser: Advertiser) -> str:
    """Return the id of the catalog of an account."""
    return stable_id("catalog", advertiser.id)


def _campaign(builder: Builder, advertiser: Advertiser, name: str, days_before: float) -> Campaign:
    campaign = builder.campaign(advertiser, name, "WEB_CONVERSIONS", days_before)
    campaign.fields = {"campaign_automation_type": UPGRADED, "sales_destination": "WEBSITE"}
    return campaign


def _ad(builder: Builder, ad_group: AdGroup, name: str, created: int) -> SmartPlusAd:
    ad = SmartPlusAd(id=builder.ids.entity(created), name=name, created=created, ad_group=ad_group)
    ad_group.smart_plus_ads.append(ad)
    return ad


def _creative(
    builder: Builder, owner: SmartPlusAd, fields: Fields, dollars_a_day: float = SMALL_DOLLARS_A_DAY
) -> Ad:
    """Add a creative to an ad."""
    number = len(owner.creatives) + 1
    ad = builder.ad(owner.ad_group, f"{owner.name} | creative {number}", owner.created + number, dollars_a_day)
    ad.smart_plus_ad, ad.fields = owner, dict(fields)
    return ad


def _texts(texts: Sequence[str], calls_to_action: Sequence[str], advertiser: Advertiser) -> Fields:
    """Return the fields of texts, calls to action and landing page of an ad."""
    return {
        "ad_text_list": [{"ad_text": text} for text in texts],
        "call_to_action_list": [{"call_to_action": one} for one in calls_to_action],
        "landing_page_url_list": [{"landing_page_url": f"{advertiser.account.website}?ref=smart-plus"}],
    }


def _finish(builder: Builder, ad_group: AdGroup) -> None:
    """Set all age groups, and a daily budget of the only daily kind that Upgraded Smart+ ad groups have."""
    builder.set_budget(ad_group)
    ad_group.age_groups = ALL_AGE_GROUPS
    ad_group.fields["budget_mode"] = "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"


def _set_scripts(old: Ad, new: Ad) -> None:
    """Give the two leading creatives their spend."""

    def scaled(script: Script) -> Script:
        return tuple((since, until, cents * _NUMERATOR // _DENOMINATOR) for since, until, cents in script)

    set_script(old, scaled(OLD_LEADER))
    set_script(new, scaled(NEW_LEADER))
