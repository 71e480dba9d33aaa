"""Define a TikTok Shop with GMV Max campaigns, and compute what they deliver.

GMV Max campaigns are not among the campaigns of an account: campaign/get, adgroup/get, ad/get and
report/integrated/get have neither them nor their spend (mengxingxinqing/tiktok_ads, get_ad_groups); their list and
their report are endpoints of their own.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from struct import Struct

from tiktok_assets.sandbox.world.ad_delivery import Vector
from tiktok_assets.sandbox.world.api_objects import stable_id
from tiktok_assets.sandbox.world.builder import DAY_SECONDS, Builder
from tiktok_assets.sandbox.world.local_days import HOUR_SECONDS, local_day, local_ordinal
from tiktok_assets.sandbox.world.model import Advertiser, Entity

PRODUCT, LIVE = "PRODUCT", "LIVE"  # types of campaigns in reports; the list adds _GMV_MAX
COLUMNS = (
    *("cost", "net_cost", "orders", "gross_revenue", "product_impressions", "product_clicks", "ad_views"),
    *("ad_clicks", "ad_conversions", "views_2s", "views_6s", "views_p25", "views_p50", "views_p75", "views_p100"),
    *("live_views", "10_second_live_views", "live_follows"),
)
COLUMN = {name: position for position, name in enumerate(COLUMNS)}
# How late net cost, and the cost of products and posts, are (metrics_in_gmv_max_campaign_reports: up to 11 hours).
LATE_SECONDS = 11 * HOUR_SECONDS
_RANDOM_PARTS = Struct("<8H")
_CREDIT_DIVISOR = 9  # one ninth of the cost is paid with ad credit


@dataclass(frozen=True)
class Product:
    """A product (SPU) of a shop; `price` is in minor units."""

    id: str
    name: str
    price: int
    is_available: bool = True


@dataclass(frozen=True)
class Post:
    """A TikTok post that shows a product, or the product card, whose id is -1."""

    id: str
    title: str
    account_name: str
    authorization: str
    status: str = "DELIVERING"

    @property
    def content_type(self) -> str:
        """Return VIDEO or PRODUCT_CARD (metrics_in_gmv_max_campaign_reports)."""
        return "PRODUCT_CARD" if self.id == PRODUCT_CARD_ID else "VIDEO"


PRODUCT_CARD_ID = "-1"


@dataclass(frozen=True)
class Leaf:
    """The finest part of a campaign: a product shown by a post; a LIVE campaign has one part without both."""

    product: Product | None
    post: Post | None
    daily_cost: int  # minor units


@dataclass(kw_only=True)
class GmvMaxCampaign(Entity):
    """A GMV Max campaign; amounts are minor units, `roas_bid` is hundredths."""

    shop: "Shop" = field(repr=False)
    promotion_type: str
    budget: int
    roas_bid: int
    leaves: list[Leaf] = field(default_factory=list)


@dataclass(kw_only=True)
class Shop:
    """A TikTok Shop that an account has access to."""

    id: str
    name: str
    advertiser: Advertiser = field(repr=False)
    is_available: bool = True
    campaigns: list[GmvMaxCampaign] = field(default_factory=list, repr=False)


def add_gmv_max(builder: Builder, advertiser: Advertiser) -> None:
    """Add a shop with a Product and a LIVE GMV Max campaign, a deleted one, and a shop without GMV Max."""
    dollar = builder.dollar(advertiser)
    shop = Shop(id=stable_id("shop", advertiser.id), name="Sunset Shop", advertiser=advertiser)
    closed = Shop(
        id=stable_id("closed shop", advertiser.id), name="Outlet", advertiser=advertiser, is_available=False
    )
    advertiser.shops += [shop, closed]
    products = [
        Product(stable_id("product", advertiser.id, name), name, int(price * dollar), is_available=available)
        for name, price, available in (
            ("Day cream", 24, True),
            ("Night serum", 39, True),
            ("Travel set", 18, False),
        )
    ]
    posts = [
        Post(stable_id("gmv post", advertiser.id, title), title, name, kind, status)
        for title, name, kind, status in (
            ("My evening routine", "sunset.skincare", "TT_USER", "DELIVERING"),
            ("Thirty days later", "glow.with.ana", "AFFILIATE", "DELIVERING"),
            ("Unpacking", "mika.reviews", "AUTH_CODE", "NOT_DELIVERYING"),
        )
    ]
    card = Post(PRODUCT_CARD_ID, "Product card", "-1", "UNSET")
    product = _campaign(builder, shop, "GMV Max | All products", PRODUCT, 61.2)
    product.leaves = [
        Leaf(product_, post, int((19 - 4 * row - 3 * column) * dollar))
        for row, product_ in enumerate(products)
        for column, post in enumerate((*posts[: 3 - row], card))
    ]
    live = _campaign(builder, shop, "LIVE GMV Max | Friday show", LIVE, 40.4)
    live.leaves = [Leaf(None, None, int(55 * dollar))]
    old = _campaign(builder, shop, "GMV Max | Launch", PRODUCT, 70.3)
    old.leaves = [Leaf(products[0], posts[0], int(30 * dollar))]
    old.deleted = builder.days_ago(21.5)


def _campaign(builder: Builder, shop: Shop, name: str, kind: str, days_before: float) -> GmvMaxCampaign:
    created = builder.anchor - int(days_before * DAY_SECONDS)
    campaign = GmvMaxCampaign(
        id=builder.ids.entity(created),
        name=name,
        created=created,
        shop=shop,
        promotion_type=kind,
        budget=int(200 * builder.dollar(shop.advertiser)),
        roas_bid=450,
    )
    shop.campaigns.append(campaign)
    return campaign


def convert_amounts(shop: Shop, rate: float) -> None:
    """Multiply all amounts of a shop by a rate, for another currency of its account."""

    def product(one: Product | None) -> Product | None:
        return one and replace(one, price=max(round(one.price * rate), 1))

    for campaign in shop.campaigns:
        campaign.budget = round(campaign.budget * rate)
        campaign.leaves = [
            replace(one, product=product(one.product), daily_cost=round(one.daily_cost * rate))
            for one in campaign.leaves
        ]


def known_days(campaign: GmvMaxCampaign, now: int) -> range:
    """Return the ordinals of the days on which a campaign can have delivered up to `now`."""
    zone = campaign.shop.advertiser.zone
    if now <= campaign.created:
        return range(0)
    last = min(now, _stop(campaign) or now)
    return range(local_ordinal(zone, campaign.created), local_ordinal(zone, last) + 1)


def _stop(campaign: GmvMaxCampaign) -> int | None:
    ends = [one for one in (campaign.deleted, campaign.paused) if one is not None]
    return min(ends, default=None)


def delivery(seed: int, campaign: GmvMaxCampaign, leaf: Leaf, ordinal: int, hour: int, *, is_fine: bool) -> Vector:
    """Return what a leaf has delivered on a day as known at `hour`; `is_fine` for reports by product or post."""
    final = _final(seed, campaign, leaf, ordinal)
    on_time = _until(final, campaign, ordinal, hour)
    late = _until(final, campaign, ordinal, hour - LATE_SECONDS)
    for name in ("cost", "net_cost") if is_fine else ("net_cost",):
        on_time[COLUMN[name]] = late[COLUMN[name]]
    return on_time


def hourly_delivery(
    seed: int, campaign: GmvMaxCampaign, leaf: Leaf, ordinal: int, hour: int, *, is_fine: bool
) -> Iterator[tuple[int, Vector]]:
    """Yield (local hour, delivery) for the hours of a day that have ended at `hour`."""
    day = local_day(campaign.shop.advertiser.zone, ordinal)
    final = _final(seed, campaign, leaf, ordinal)
    before = array("q", bytes(8 * len(COLUMNS)))
    for index, label in enumerate(day.hour_labels):
        end = day.start + (index + 1) * HOUR_SECONDS
        if end > hour:
            return
        after = _until(final, campaign, ordinal, end)
        during = array("q", (b - a for a, b in zip(before, after, strict=True)))
        if end > hour - LATE_SECONDS:
            for name in ("cost", "net_cost") if is_fine else ("net_cost",):
                during[COLUMN[name]] = 0
        yield label, during
        before = after


def _until(final: Vector, campaign: GmvMaxCampaign, ordinal: int, until: int) -> Vector:
    day = local_day(campaign.shop.advertiser.zone, ordinal)
    end = min(until, _stop(campaign) or until)
    total = day.cumulative_weights[-1]
    share = day.weight_between(campaign.created, end) if end > campaign.created else 0
    return array("q", (value * share // total for value in final))


def _final(seed: int, campaign: GmvMaxCampaign, leaf: Leaf, ordinal: int) -> Vector:
    """Return the delivery of a whole day, from the seed, the leaf and the day only."""
    key = f"{seed}:{campaign.id}:{leaf.product and leaf.product.id}:{leaf.post and leaf.post.id}:{ordinal}"
    randoms = _RANDOM_PARTS.unpack(blake2b(key.encode(), digest_size=16).digest())
    is_delivering = leaf.post is None or leaf.post.status == "DELIVERING"
    cost = leaf.daily_cost * (700 + randoms[0] % 600) // 1000 if is_delivering else 0
    roi = 300 + randoms[1] % 400  # hundredths
    price = leaf.product.price if leaf.product else campaign.budget // 8
    orders = cost * roi // 100 // price + randoms[2] % 2
    views = cost * 2 + randoms[3] % 40
    clicks = views * (8 + randoms[4] % 9) // 1000
    is_live = campaign.promotion_type == LIVE
    shown = 0 if is_live else views
    plays = [0 if is_live else views * part // 1000 for part in (420, 230, 310, 190, 120, 70)]
    return array(
        "q",
        (
            cost,
            cost - cost // _CREDIT_DIVISOR,
            orders,
            orders * price,
            shown * 3 // 4,
            0 if is_live else clicks,
            shown,
            0 if is_live else clicks + randoms[5] % 3,
            min(orders, clicks),
            *plays,
            views if is_live else 0,
            views // 3 if is_live else 0,
            views // 400 if is_live else 0,
        ),
    )
