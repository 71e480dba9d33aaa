"""The metrics a BASIC report may ask for, a row each, and the standard set.

Meanings: tiktok_api.md section 6.6. Every value arrives as text, whatever its kind.
"""

from dataclasses import dataclass
from typing import Literal

MetricKind = Literal["money", "count", "rate", "ratio"]


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
    """

    api_name: str
    kind: MetricKind
    additive: bool
    meaning: str
    name: str
    standard: bool


def _metric(
    api_name: str,
    kind: MetricKind,
    meaning: str,
    *,
    additive: bool = False,
    name: str | None = None,
    standard: bool = False,
) -> Metric:
    return Metric(api_name, kind, additive, meaning, name or api_name, standard)


def _sum(api_name: str, kind: MetricKind, meaning: str, *, name: str | None = None) -> Metric:
    return _metric(api_name, kind, meaning, additive=True, name=name, standard=True)


def _average(api_name: str, kind: MetricKind, meaning: str) -> Metric:
    return _metric(api_name, kind, meaning, standard=True)


METRICS: tuple[Metric, ...] = (
    # The standard set, in table order.
    _sum("spend", "money", "cost, vouchers included"),
    _sum("impressions", "count", "times shown"),
    _sum("clicks", "count", "clicks to the destination"),
    _average("ctr", "rate", "clicks per impression"),
    _average("cpc", "money", "cost per click"),
    _average("cpm", "money", "cost per thousand impressions"),
    _average("reach", "count", "unique people, about 16 hours late"),
    _average("frequency", "ratio", "impressions per person reached"),
    _sum("conversion", "count", "conversions, on the day of the click or view that led to them"),
    _average("cost_per_conversion", "money", "cost per conversion"),
    _average("conversion_rate_v2", "rate", "conversions per impression"),
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
    _average("complete_payment_roas", "ratio", "purchase value on the website per cost"),
    # "rate" in the API's name, but the purchase VALUE on the website: two official metric lists say so.
    _sum(
        "total_complete_payment_rate",
        "money",
        "value of the purchases on the website",
        name="total_complete_payment_value",
    ),
    _sum("onsite_shopping", "count", "purchases in TikTok Shop"),
    _sum("total_onsite_shopping_value", "money", "value of the purchases in TikTok Shop"),
    # Further ones, for TIKTOK_METRICS.
    _metric("billed_cost", "money", "the part of the cost that is billed", additive=True),
    _metric("gross_impressions", "count", "times shown, invalid ones included", additive=True),
    _metric("cost_per_1000_reached", "money", "cost per thousand people reached"),
    _metric("conversion_rate", "rate", "conversions per impression"),
    _metric("real_time_cost_per_conversion", "money", "cost per conversion on its own day"),
    _metric("real_time_conversion_rate", "rate", "conversions on their own day per impression"),
    _metric("real_time_conversion_rate_v2", "rate", "conversions on their own day per impression"),
    _metric("result_rate", "rate", "results per impression"),
    _metric("real_time_result", "count", "results, on the day they happened"),
    _metric("real_time_cost_per_result", "money", "cost per result on its own day"),
    _metric("average_video_play", "ratio", "seconds watched per play"),
    _metric("average_video_play_per_user", "ratio", "seconds watched per person"),
    _metric("engaged_view", "count", "engaged views", additive=True),
    _metric("engaged_view_15s", "count", "engaged views of fifteen seconds", additive=True),
    _metric("engagements", "count", "engagements", additive=True),
    _metric("engagement_rate", "rate", "engagements per impression"),
    _metric("profile_visits_rate", "rate", "profile visits per impression"),
    _metric("clicks_on_music_disc", "count", "clicks on the music disc", additive=True),
    _metric("app_install", "count", "app installs", additive=True),
    _metric("cost_per_app_install", "money", "cost per app install"),
    _metric("registration", "count", "registrations in the app", additive=True),
    _metric("purchase", "count", "people who purchased in the app"),
    _metric("total_purchase", "count", "purchases in the app", additive=True),
    _metric("total_purchase_value", "money", "value of the purchases in the app", additive=True),
    _metric("cost_per_complete_payment", "money", "cost per purchase on the website"),
    _metric("complete_payment_rate", "rate", "purchases on the website per click"),
    _metric("value_per_complete_payment", "money", "value per purchase on the website"),
    _metric("total_landing_page_view", "count", "views of the landing page", additive=True),
    _metric("initiate_checkout", "count", "checkouts begun on the website", additive=True),
    _metric("web_event_add_to_cart", "count", "additions to the cart on the website", additive=True),
    _metric("on_web_order", "count", "orders placed on the website", additive=True),
    _metric("form", "count", "forms sent on the website", additive=True),
    _metric("user_registration", "count", "registrations on the website", additive=True),
    _metric("onsite_shopping_roas", "ratio", "purchase value in TikTok Shop per cost"),
    _metric("cost_per_onsite_shopping", "money", "cost per purchase in TikTok Shop"),
    _metric("vta_conversion", "count", "conversions after a view", additive=True),
    _metric("cta_conversion", "count", "conversions after a click", additive=True),
)

METRICS_BY_API_NAME = {metric.api_name: metric for metric in METRICS}
STANDARD_METRICS = tuple(metric for metric in METRICS if metric.standard)


class UnknownMetricError(ValueError):
    """A metric was named that the catalogue does not have."""


def chosen_metrics(wish: str) -> tuple[Metric, ...]:
    """The metrics `TIKTOK_METRICS` asks for, in catalogue order and each once; `spend` always among them.

    Args:
        wish: "" for the standard set, "+a,+b" to add to it, "a,b" to replace it; API names.

    Raises:
        UnknownMetricError: naming the first metric that is not in the catalogue.

    >>> [metric.name for metric in chosen_metrics("impressions")]
    ['spend', 'impressions']
    """
    names = [name.strip() for name in wish.split(",") if name.strip()]
    plain = {name.removeprefix("+") for name in names}
    if unknown := sorted(plain - METRICS_BY_API_NAME.keys()):
        raise UnknownMetricError(
            f"there is no metric {unknown[0]!r}; the metrics are: {', '.join(METRICS_BY_API_NAME)}"
        )
    replaces = bool(names) and not all(name.startswith("+") for name in names)
    return tuple(
        metric
        for metric in METRICS
        if metric.api_name == "spend" or metric.api_name in plain or (metric.standard and not replaces)
    )
