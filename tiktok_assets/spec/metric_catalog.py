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
    """The formula of a rate, ratio or cost: `numerator` x `factor` / `denominator`, by the API's names."""

    numerator: str
    denominator: str
    factor: int = 1


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        api_name: the API's name.
        kind: the kind of its values, see `columns.Kind`.
        is_additive: whether it can be summed over days, ads and levels; reach, rates and averages cannot.
        meaning: its meaning for the data dictionary.
        name: the column's name; differs from `api_name` only where the API's name is misleading.
        is_standard: whether it is requested unless `TIKTOK_METRICS` selects others.
        counts_people: whether it counts unique people, which TikTok reports 16 hours late (API notes 7).
        quotient: the formula to recompute it from sums, where known.
        served: in which reports; "account_days" is only the daily report of the account (API notes 6.6, 9 #3).
    """

    api_name: str
    kind: MetricKind
    is_additive: bool
    meaning: str
    name: str
    is_standard: bool
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
"""The metrics every AUDIENCE report serves; website and shop metrics are not among them.

Source: mengxingxinqing/tiktok_ads, supported_metrics_for_a_dimension_in_audience_reports (by country); the two
`_v2` rates as tested by estuary/connectors on 2026-08-13. Other dimensions are assumed to serve the same, except
for gross impressions, which are missing from that page's list for ad_type and from the page `promote_campaign`.
"""


def _metric(
    api_name: str,
    kind: MetricKind,
    meaning: str,
    *,
    is_additive: bool = False,
    name: str | None = None,
    is_standard: bool = False,
    counts_people: bool = False,
    quotient: tuple[str, str, int] | tuple[str, str] | None = None,
    served: Served = "everywhere",
) -> Metric:
    formula = Quotient(*quotient) if quotient else None
    return Metric(
        api_name, kind, is_additive, meaning, name or api_name, is_standard, counts_people, formula, served
    )


def _standard_sum(api_name: str, kind: MetricKind, meaning: str, *, name: str | None = None) -> Metric:
    return _metric(api_name, kind, meaning, is_additive=True, name=name, is_standard=True)


def _standard_average(
    api_name: str,
    kind: MetricKind,
    meaning: str,
    quotient: tuple[str, str, int] | tuple[str, str] | None = None,
    *,
    counts_people: bool = False,
) -> Metric:
    return _metric(api_name, kind, meaning, is_standard=True, quotient=quotient, counts_people=counts_people)


def _count(api_name: str, meaning: str) -> Metric:
    return _metric(api_name, "count", meaning, is_additive=True)


def _cost(event: str, meaning: str, api_name: str = "") -> Metric:
    return _metric(api_name or f"cost_per_{event}", "money", meaning, quotient=("spend", event))


_STANDARD: tuple[Metric, ...] = (
    _standard_sum("spend", "money", "cost, including vouchers"),
    _standard_sum("impressions", "count", "times an ad was shown"),
    _standard_sum("clicks", "count", "clicks to the destination"),
    _standard_average("ctr", "rate", "clicks per impression", ("clicks", "impressions", 100)),
    _standard_average("cpc", "money", "cost per click", ("spend", "clicks")),
    _standard_average("cpm", "money", "cost per thousand impressions", ("spend", "impressions", 1000)),
    _standard_average(
        "reach", "count", "unique people reached; available about 16 hours late", counts_people=True
    ),
    _standard_average("frequency", "ratio", "impressions per person reached", counts_people=True),
    _standard_sum("conversion", "count", "conversions, by the day of the click or view they are attributed to"),
    _standard_average("cost_per_conversion", "money", "cost per conversion", ("spend", "conversion")),
    _standard_average(
        "conversion_rate_v2", "rate", "conversions per impression", ("conversion", "impressions", 100)
    ),
    _standard_sum("real_time_conversion", "count", "conversions, by the day they happened"),
    # Not additive: if the goal is reach, a result is a unique person.
    _standard_average("result", "count", "results of the optimization goal; people reached if the goal is reach"),
    _standard_average("cost_per_result", "money", "cost per result"),
    _standard_sum("video_play_actions", "count", "video starts"),
    _standard_sum("video_watched_2s", "count", "videos watched for two seconds"),
    _standard_sum("video_watched_6s", "count", "videos watched for six seconds"),
    _standard_sum("video_views_p25", "count", "videos watched to 25 %"),
    _standard_sum("video_views_p50", "count", "videos watched to 50 %"),
    _standard_sum("video_views_p75", "count", "videos watched to 75 %"),
    _standard_sum("video_views_p100", "count", "videos watched to the end"),
    _standard_sum("likes", "count", "likes from paid views"),
    _standard_sum("comments", "count", "comments from paid views"),
    _standard_sum("shares", "count", "shares from paid views"),
    _standard_sum("follows", "count", "new followers from paid views"),
    _standard_sum("profile_visits", "count", "visits to the profile from paid views"),
    _standard_sum("complete_payment", "count", "purchases on the website"),
    _standard_average(
        "complete_payment_roas",
        "ratio",
        "purchase value on the website per amount spent",
        ("total_complete_payment_rate", "spend"),
    ),
    # The API's name ends in "rate", but two official lists of metrics define it as the purchase value.
    _standard_sum(
        "total_complete_payment_rate",
        "money",
        "value of the purchases on the website",
        name="total_complete_payment_value",
    ),
    _standard_sum("onsite_shopping", "count", "purchases in TikTok Shop"),
    _standard_sum("total_onsite_shopping_value", "money", "value of the purchases in TikTok Shop"),
)

_DELIVERY: tuple[Metric, ...] = (
    _metric("billed_cost", "money", "the billed part of the cost", is_additive=True),
    _metric(
        "cash_spend",
        "money",
        "the part of the cost paid in cash; only by account and day",
        is_additive=True,
        served="account_days",
    ),
    _metric(
        "voucher_spend",
        "money",
        "the part of the cost paid with vouchers; only by account and day",
        is_additive=True,
        served="account_days",
    ),
    _count("gross_impressions", "times shown, including invalid impressions"),
    _metric("cost_per_1000_reached", "money", "cost per thousand people reached", counts_people=True),
    _metric("conversion_rate", "rate", "conversions per impression", quotient=("conversion", "impressions", 100)),
    _cost("real_time_conversion", "cost per conversion, by the day it happened", "real_time_cost_per_conversion"),
    *(
        _metric(
            f"real_time_conversion_rate{version}",
            "rate",
            "conversions per impression, by the day they happened",
            quotient=("real_time_conversion", "impressions", 100),
        )
        for version in ("", "_v2")
    ),
    # A result may be a unique person, so neither results nor quotients of results follow from sums.
    _metric("result_rate", "rate", "results per impression"),
    _metric("real_time_result", "count", "results, by the day they happened"),
    _metric("real_time_cost_per_result", "money", "cost per result, by the day it happened"),
    _metric("real_time_result_rate", "rate", "results per impression, by the day they happened"),
    _metric("secondary_goal_result", "count", "results of the secondary goal"),
    _metric("cost_per_secondary_goal_result", "money", "cost per result of the secondary goal"),
    _metric("secondary_goal_result_rate", "rate", "results of the secondary goal per impression"),
    _metric("average_video_play", "ratio", "seconds watched per play"),
    _metric("average_video_play_per_user", "ratio", "seconds watched per person", counts_people=True),
    _count("engaged_view", "engaged views"),
    _count("engaged_view_15s", "engaged views of 15 seconds"),
    _count("engagements", "engagements"),
    _metric("engagement_rate", "rate", "engagements per impression", quotient=("engagements", "impressions", 100)),
    _metric(
        "profile_visits_rate",
        "rate",
        "profile visits per impression",
        quotient=("profile_visits", "impressions", 100),
    ),
    _count("clicks_on_music_disc", "clicks on the music disc"),
)


def _app_event_metrics(
    event: str, did: str, singular: str, plural: str, *, valued: bool = True
) -> Iterator[Metric]:
    """Yield the metrics of an event in an app.

    The first three count unique people and are not additive; the `total_` metrics count events.

    Args:
        event: the API's name of the event.
        did: what the people did, in the past tense.
        singular: one such event in plain words.
        plural: several such events in plain words.
        valued: whether TikTok reports the value of the events.
    """
    yield _metric(event, "count", f"people who {did} in the app")
    yield _metric(f"cost_per_{event}", "money", f"cost per person who {did} in the app")
    yield _metric(f"{event}_rate", "rate", f"share of clicks after which a person {did} in the app")
    yield _count(f"total_{event}", f"{plural} in the app")
    yield _cost(f"total_{event}", f"cost per {singular} in the app")
    if valued:
        each = "value_per_checkout" if event == "checkout" else f"value_per_total_{event}"
        value = f"total_{event}_value"
        yield _metric(each, "money", f"value per {singular} in the app", quotient=(value, f"total_{event}"))
        yield _metric(value, "money", f"value of the {plural} in the app", is_additive=True)


_APP: tuple[Metric, ...] = (
    _count("app_install", "app installs"),
    _cost("app_install", "cost per app install"),
    _count("real_time_app_install", "app installs, by the day they happened"),
    _cost("real_time_app_install", "cost per app install, by the day it happened", "real_time_app_install_cost"),
    *_app_event_metrics("registration", "registered", "registration", "registrations", valued=False),
    *_app_event_metrics("purchase", "purchased", "purchase", "purchases"),
    _metric("total_active_pay_roas", "ratio", "purchase value in the app per amount spent"),
    *_app_event_metrics(
        "app_event_add_to_cart", "added to the cart", "addition to the cart", "additions to the cart"
    ),
    *_app_event_metrics("checkout", "started a checkout", "started checkout", "started checkouts"),
    *_app_event_metrics("view_content", "viewed content", "content view", "content views"),
    *_app_event_metrics("sales_lead", "became a lead", "sales lead", "sales leads"),
)


def _web_event_metrics(
    event: str, singular: str, plural: str, api_singular: str = "", api_value: str = ""
) -> Iterator[Metric]:
    """Yield the metrics of an event that the pixel records on the website.

    Args:
        event: the API's name of the count.
        singular: one such event in plain words.
        plural: several such events in plain words.
        api_singular: the event in the API's names of averages, if it differs from `event`.
        api_value: the API's name of the total value, if it is not derived from `event`.
    """
    api_singular, api_value = api_singular or event, api_value or f"total_{event}_value"
    yield _count(event, f"{plural} on the website")
    yield _cost(event, f"cost per {singular} on the website", f"cost_per_{api_singular}")
    yield _metric(
        f"{api_singular}_rate", "rate", f"{plural} on the website per click", quotient=(event, "clicks", 100)
    )
    yield _metric(
        f"value_per_{api_singular}", "money", f"value per {singular} on the website", quotient=(api_value, event)
    )
    yield _metric(api_value, "money", f"value of the {plural} on the website", is_additive=True)


_WEB: tuple[Metric, ...] = (
    _cost("complete_payment", "cost per purchase on the website"),
    _metric(
        "complete_payment_rate",
        "rate",
        "purchases on the website per click",
        quotient=("complete_payment", "clicks", 100),
    ),
    _metric(
        "value_per_complete_payment",
        "money",
        "value per purchase on the website",
        quotient=("total_complete_payment_rate", "complete_payment"),
    ),
    _count("total_landing_page_view", "views of the landing page"),
    _cost("total_landing_page_view", "cost per view of the landing page", "cost_per_landing_page_view"),
    _metric(
        "landing_page_view_rate",
        "rate",
        "views of the landing page per click",
        quotient=("total_landing_page_view", "clicks", 100),
    ),
    *_web_event_metrics("initiate_checkout", "started checkout", "started checkouts"),
    *_web_event_metrics("web_event_add_to_cart", "addition to the cart", "additions to the cart"),
    *_web_event_metrics("on_web_order", "placed order", "placed orders"),
    *_web_event_metrics(
        "page_content_view_events",
        "content view",
        "content views",
        api_singular="page_content_view_event",
        api_value="total_page_view_content_events_value",
    ),
    *_web_event_metrics("form", "submitted form", "submitted forms"),
    *_web_event_metrics("button_click", "button click", "button clicks"),
    *_web_event_metrics("user_registration", "registration", "registrations"),
    _metric(
        "onsite_shopping_roas",
        "ratio",
        "purchase value in TikTok Shop per amount spent",
        quotient=("total_onsite_shopping_value", "spend"),
    ),
    _cost("onsite_shopping", "cost per purchase in TikTok Shop"),
)

_TOUCHPOINTS = {"vta": "a view", "cta": "a click", "evta": "an engaged view"}
_ATTRIBUTED_EVENTS = {
    "app_install": ("app installs", True),
    # In apps these two count unique people; they are not summed, to be safe.
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
        _metric(f"{touch}_{event}", "count", f"{what} after {after}", is_additive=is_additive)
        for touch, after in _TOUCHPOINTS.items()
        for event, (what, is_additive) in _ATTRIBUTED_EVENTS.items()
    ),
)

_OTHER_CHANNELS: tuple[Metric, ...] = (
    _count("skan_conversion", "conversions by SKAdNetwork"),
    _cost("skan_conversion", "cost per conversion by SKAdNetwork", "skan_cost_per_conversion"),
    _metric("skan_result", "count", "results by SKAdNetwork"),
    _metric("skan_cost_per_result", "money", "cost per result by SKAdNetwork"),
    _count("offline_shopping_events", "offline purchases"),
    _cost("offline_shopping_events", "cost per offline purchase", "cost_per_offline_shopping_event"),
    _metric("offline_shopping_event_rate", "rate", "offline purchases per click"),
    _metric(
        "value_per_offline_shopping_event",
        "money",
        "value per offline purchase",
        quotient=("offline_shopping_events_value", "offline_shopping_events"),
    ),
    _metric("offline_shopping_events_value", "money", "value of the offline purchases", is_additive=True),
    _metric(
        "offline_shopping_events_roas",
        "ratio",
        "offline purchase value per amount spent",
        quotient=("offline_shopping_events_value", "spend"),
    ),
    _count("messaging_total_conversation_tiktok_direct_message", "conversations by direct message"),
    _count("messaging_total_conversation_instant_messaging_app", "conversations in instant messaging apps"),
)

METRICS: tuple[Metric, ...] = (*_STANDARD, *_DELIVERY, *_APP, *_WEB, *_ATTRIBUTION, *_OTHER_CHANNELS)
"""The standard metrics in table order, then those that `TIKTOK_METRICS` can add."""
