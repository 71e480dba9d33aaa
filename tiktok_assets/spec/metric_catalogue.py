"""The catalogue of metrics a BASIC report can request, one entry per metric.

Meanings: API notes 6.6; the members of metric families (cost, rate, total, value of an event) follow the model of
bububa/tiktok-business cited there. The API sends every value as text, whatever its kind.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

MetricKind = Literal["money", "count", "rate", "ratio", "text"]
Served = Literal["everywhere", "account_days"]


@dataclass(frozen=True, slots=True)
class Quotient:
    """How a rate, ratio or cost-per follows from counts: `top` x `times` / `bottom`, by the API's names."""

    numerator: str
    denominator: str
    factor: int = 1


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        api_name: what the API calls it.
        kind: see `columns.Kind`.
        additive: whether it may be summed over days, ads and levels; reach, rates and averages may not.
        meaning: one line.
        name: what we publish it as; differs from `api_name` only where the API's name misleads.
        standard: whether it is asked for unless `TIKTOK_METRICS` says otherwise.
        counts_people: whether it rests on unique people: 16 hours late (7).
        quotient: what it is recomputed from, where that is known.
        served: "account_days" is refused everywhere but in the daily report of the account (6.6, 9 #3).
    """

    api_name: str
    kind: MetricKind
    additive: bool
    meaning: str
    name: str
    standard: bool
    counts_people: bool
    quotient: Quotient | None
    served: Served


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


AUDIENCE_METRICS = _names(
    """
    spend cpc cpm impressions clicks ctr conversion cost_per_conversion conversion_rate
    real_time_conversion real_time_cost_per_conversion real_time_conversion_rate result cost_per_result
    result_rate real_time_result real_time_cost_per_result real_time_result_rate video_play_actions
    video_watched_2s video_watched_6s average_video_play video_views_p25 video_views_p50 video_views_p75
    video_views_p100 profile_visits profile_visits_rate likes comments shares follows clicks_on_music_disc
    total_landing_page_view cost_per_landing_page_view landing_page_view_rate conversion_rate_v2
    real_time_conversion_rate_v2
    """
)
"""What every AUDIENCE report serves: no website and shop metrics among them.

Source: mengxingxinqing/tiktok_ads, supported_metrics_for_a_dimension_in_audience_reports (by country); the two
`_v2` rates by the probe of estuary/connectors of 2026-08-13. For other dimensions the same is assumed, but
for gross impressions, which that page's list for ad_type and the page `promote_campaign` lack.
"""


def _metric(
    api_name: str,
    kind: MetricKind,
    meaning: str,
    *,
    additive: bool = False,
    name: str | None = None,
    standard: bool = False,
    people: bool = False,
    of: tuple[str, str, int] | tuple[str, str] | None = None,
    served: Served = "everywhere",
) -> Metric:
    quotient = Quotient(*of) if of else None
    return Metric(api_name, kind, additive, meaning, name or api_name, standard, people, quotient, served)


def _sum(api_name: str, kind: MetricKind, meaning: str, *, name: str | None = None) -> Metric:
    return _metric(api_name, kind, meaning, additive=True, name=name, standard=True)


def _average(
    api_name: str,
    kind: MetricKind,
    meaning: str,
    of: tuple[str, str, int] | tuple[str, str] | None = None,
    *,
    people: bool = False,
) -> Metric:
    return _metric(api_name, kind, meaning, standard=True, of=of, people=people)


def _count(api_name: str, meaning: str) -> Metric:
    return _metric(api_name, "count", meaning, additive=True)


def _cost(of_what: str, meaning: str, api_name: str = "") -> Metric:
    return _metric(api_name or f"cost_per_{of_what}", "money", meaning, of=("spend", of_what))


_STANDARD: tuple[Metric, ...] = (
    _sum("spend", "money", "cost, vouchers included"),
    _sum("impressions", "count", "times shown"),
    _sum("clicks", "count", "clicks to the destination"),
    _average("ctr", "rate", "clicks per impression", ("clicks", "impressions", 100)),
    _average("cpc", "money", "cost per click", ("spend", "clicks")),
    _average("cpm", "money", "cost per thousand impressions", ("spend", "impressions", 1000)),
    _average("reach", "count", "unique people, about 16 hours late", people=True),
    _average("frequency", "ratio", "impressions per person reached", people=True),
    _sum("conversion", "count", "conversions, on the day of the click or view that led to them"),
    _average("cost_per_conversion", "money", "cost per conversion", ("spend", "conversion")),
    _average("conversion_rate_v2", "rate", "conversions per impression", ("conversion", "impressions", 100)),
    _sum("real_time_conversion", "count", "conversions, on the day they happened"),
    # Not additive: where the goal is reach, a result is a unique person.
    _average("result", "count", "what the optimisation goal counts; people reached where the goal is reach"),
    _average("cost_per_result", "money", "cost per result"),
    _sum("video_play_actions", "count", "video starts"),
    _sum("video_watched_2s", "count", "videos watched for two seconds"),
    _sum("video_watched_6s", "count", "videos watched for six seconds"),
    _sum("video_views_p25", "count", "videos watched to a quarter"),
    _sum("video_views_p50", "count", "videos watched to the half"),
    _sum("video_views_p75", "count", "videos watched to three quarters"),
    _sum("video_views_p100", "count", "videos watched to the end"),
    _sum("likes", "count", "likes from paid views"),
    _sum("comments", "count", "comments from paid views"),
    _sum("shares", "count", "shares from paid views"),
    _sum("follows", "count", "new followers from paid views"),
    _sum("profile_visits", "count", "visits to the profile from paid views"),
    _sum("complete_payment", "count", "purchases on the website"),
    _average(
        "complete_payment_roas",
        "ratio",
        "purchase value on the website per cost",
        ("total_complete_payment_rate", "spend"),
    ),
    # "rate" in the API's name, but the purchase VALUE on the website: two official metric lists say so.
    _sum(
        "total_complete_payment_rate",
        "money",
        "value of the purchases on the website",
        name="total_complete_payment_value",
    ),
    _sum("onsite_shopping", "count", "purchases in TikTok Shop"),
    _sum("total_onsite_shopping_value", "money", "value of the purchases in TikTok Shop"),
)

_DELIVERY: tuple[Metric, ...] = (
    _metric("billed_cost", "money", "the part of the cost that is billed", additive=True),
    _metric(
        "cash_spend",
        "money",
        "the part of the cost paid in cash; by account and day",
        additive=True,
        served="account_days",
    ),
    _metric(
        "voucher_spend",
        "money",
        "the part of the cost paid by voucher; by account and day",
        additive=True,
        served="account_days",
    ),
    _count("gross_impressions", "times shown, invalid ones included"),
    _metric("cost_per_1000_reached", "money", "cost per thousand people reached", people=True),
    _metric("conversion_rate", "rate", "conversions per impression", of=("conversion", "impressions", 100)),
    _cost("real_time_conversion", "cost per conversion on its own day", "real_time_cost_per_conversion"),
    *(
        _metric(
            f"real_time_conversion_rate{version}",
            "rate",
            "conversions on their own day per impression",
            of=("real_time_conversion", "impressions", 100),
        )
        for version in ("", "_v2")
    ),
    # A result may be a person: neither it nor what is divided by it follows from sums.
    _metric("result_rate", "rate", "results per impression"),
    _metric("real_time_result", "count", "results, on the day they happened"),
    _metric("real_time_cost_per_result", "money", "cost per result on its own day"),
    _metric("real_time_result_rate", "rate", "results on their own day per impression"),
    _metric("secondary_goal_result", "count", "what the secondary goal counts"),
    _metric("cost_per_secondary_goal_result", "money", "cost per result of the secondary goal"),
    _metric("secondary_goal_result_rate", "rate", "results of the secondary goal per impression"),
    _metric("average_video_play", "ratio", "seconds watched per play"),
    _metric("average_video_play_per_user", "ratio", "seconds watched per person", people=True),
    _count("engaged_view", "engaged views"),
    _count("engaged_view_15s", "engaged views of fifteen seconds"),
    _count("engagements", "engagements"),
    _metric("engagement_rate", "rate", "engagements per impression", of=("engagements", "impressions", 100)),
    _metric(
        "profile_visits_rate", "rate", "profile visits per impression", of=("profile_visits", "impressions", 100)
    ),
    _count("clicks_on_music_disc", "clicks on the music disc"),
)


def _app_event_metrics(event: str, did: str, times: str, *, valued: bool = True) -> Iterator[Metric]:
    """An event inside an app: people, and times; the first are unique, the second add up."""
    yield _metric(event, "count", f"people who {did} in the app")
    yield _metric(f"cost_per_{event}", "money", f"cost per person who {did} in the app")
    yield _metric(f"{event}_rate", "rate", f"share of clicks after which a person {did} in the app")
    yield _count(f"total_{event}", f"{times} in the app")
    yield _cost(f"total_{event}", f"cost per one of the {times} in the app")
    if valued:
        each = "value_per_checkout" if event == "checkout" else f"value_per_total_{event}"
        value = f"total_{event}_value"
        yield _metric(each, "money", f"value per one of the {times} in the app", of=(value, f"total_{event}"))
        yield _metric(value, "money", f"value of the {times} in the app", additive=True)


_APP: tuple[Metric, ...] = (
    _count("app_install", "app installs"),
    _cost("app_install", "cost per app install"),
    _count("real_time_app_install", "app installs, on the day they happened"),
    _cost("real_time_app_install", "cost per app install on its own day", "real_time_app_install_cost"),
    *_app_event_metrics("registration", "registered", "registrations", valued=False),
    *_app_event_metrics("purchase", "purchased", "purchases"),
    _metric("total_active_pay_roas", "ratio", "purchase value in the app per cost"),
    *_app_event_metrics("app_event_add_to_cart", "added to the cart", "additions to the cart"),
    *_app_event_metrics("checkout", "began a checkout", "checkouts begun"),
    *_app_event_metrics("view_content", "viewed content", "content views"),
    *_app_event_metrics("sales_lead", "became a lead", "sales leads"),
)


def _web_event_metrics(event: str, what: str, one: str = "", value: str = "") -> Iterator[Metric]:
    """An event the pixel counts; `one` and `value` where TikTok's names are not made of the event's."""
    one, value = one or event, value or f"total_{event}_value"
    yield _count(event, f"{what} on the website")
    yield _cost(event, f"cost per one of the {what} on the website", f"cost_per_{one}")
    yield _metric(f"{one}_rate", "rate", f"{what} on the website per click", of=(event, "clicks", 100))
    yield _metric(f"value_per_{one}", "money", f"value per one of the {what} on the website", of=(value, event))
    yield _metric(value, "money", f"value of the {what} on the website", additive=True)


_WEB: tuple[Metric, ...] = (
    _cost("complete_payment", "cost per purchase on the website"),
    _metric(
        "complete_payment_rate",
        "rate",
        "purchases on the website per click",
        of=("complete_payment", "clicks", 100),
    ),
    _metric(
        "value_per_complete_payment",
        "money",
        "value per purchase on the website",
        of=("total_complete_payment_rate", "complete_payment"),
    ),
    _count("total_landing_page_view", "views of the landing page"),
    _cost("total_landing_page_view", "cost per view of the landing page", "cost_per_landing_page_view"),
    _metric(
        "landing_page_view_rate",
        "rate",
        "views of the landing page per click",
        of=("total_landing_page_view", "clicks", 100),
    ),
    *_web_event_metrics("initiate_checkout", "checkouts begun"),
    *_web_event_metrics("web_event_add_to_cart", "additions to the cart"),
    *_web_event_metrics("on_web_order", "orders placed"),
    *_web_event_metrics(
        "page_content_view_events",
        "content views",
        one="page_content_view_event",
        value="total_page_view_content_events_value",
    ),
    *_web_event_metrics("form", "forms sent"),
    *_web_event_metrics("button_click", "button clicks"),
    *_web_event_metrics("user_registration", "registrations"),
    _metric(
        "onsite_shopping_roas",
        "ratio",
        "purchase value in TikTok Shop per cost",
        of=("total_onsite_shopping_value", "spend"),
    ),
    _cost("onsite_shopping", "cost per purchase in TikTok Shop"),
)

_TOUCHPOINTS = {"vta": "a view", "cta": "a click", "evta": "an engaged view"}
_ATTRIBUTED_EVENTS = {
    "app_install": ("app installs", True),
    # These two are of the unique kind in the app family: kept apart from sums to be safe.
    "registration": ("registrations", False),
    "purchase": ("purchases in the app", False),
}

_ATTRIBUTION: tuple[Metric, ...] = (
    _count("vta_conversion", "conversions after a view"),
    _cost("vta_conversion", "cost per conversion after a view"),
    _count("cta_conversion", "conversions after a click"),
    _cost("cta_conversion", "cost per conversion after a click"),
    _count("engaged_view_through_conversions", "conversions after an engaged view"),
    _cost(
        "engaged_view_through_conversions",
        "cost per conversion after an engaged view",
        "cost_per_engaged_view_through_conversion",
    ),
    *(
        _metric(f"{touch}_{event}", "count", f"{what} after {after}", additive=additive)
        for touch, after in _TOUCHPOINTS.items()
        for event, (what, additive) in _ATTRIBUTED_EVENTS.items()
    ),
)

_OTHER_CHANNELS: tuple[Metric, ...] = (
    _count("skan_conversion", "conversions by SKAdNetwork"),
    _cost("skan_conversion", "cost per conversion by SKAdNetwork", "skan_cost_per_conversion"),
    _metric("skan_result", "count", "results by SKAdNetwork"),
    _metric("skan_cost_per_result", "money", "cost per result by SKAdNetwork"),
    _count("offline_shopping_events", "purchases offline"),
    _cost("offline_shopping_events", "cost per purchase offline", "cost_per_offline_shopping_event"),
    _metric("offline_shopping_event_rate", "rate", "purchases offline per click"),
    _metric(
        "value_per_offline_shopping_event",
        "money",
        "value per purchase offline",
        of=("offline_shopping_events_value", "offline_shopping_events"),
    ),
    _metric("offline_shopping_events_value", "money", "value of the purchases offline", additive=True),
    _metric(
        "offline_shopping_events_roas",
        "ratio",
        "purchase value offline per cost",
        of=("offline_shopping_events_value", "spend"),
    ),
    _count("messaging_total_conversation_tiktok_direct_message", "conversations by direct message"),
    _count("messaging_total_conversation_instant_messaging_app", "conversations in messaging apps"),
)

METRICS: tuple[Metric, ...] = (*_STANDARD, *_DELIVERY, *_APP, *_WEB, *_ATTRIBUTION, *_OTHER_CHANNELS)
"""The standard set in table order, then the further ones for `TIKTOK_METRICS`."""
