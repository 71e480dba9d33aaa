"""The BASIC metrics (dossier 6.6): where each comes from and how its value is written as text."""

from collections.abc import Callable
from dataclasses import dataclass

from tiktok_assets.sandbox.columns import POSITION
from tiktok_assets.sandbox.delivery import Vector

ABSENT = "-"  # dossier 6.5
Renderer = Callable[[Vector], str]


@dataclass(frozen=True)
class Metric:
    """One numeric metric: `top` alone, or `top` x `times` over `bottom`.

    `kind` is count, money (account currency, its decimals: dossier 7) or rate (two decimals).
    """

    name: str
    kind: str
    top: str
    bottom: str | None = None
    times: int = 1

    @property
    def unique_users(self) -> bool:
        """Say whether the metric is one of the late, not addable ones (dossier 7)."""
        return "reach" in (self.top, self.bottom)


def _same(kind: str, names: str) -> tuple[Metric, ...]:
    return tuple(Metric(name, kind, name) for name in names.split())


COUNTS = _same(
    "count",
    "impressions gross_impressions clicks conversion real_time_conversion result real_time_result "
    "video_play_actions video_watched_2s video_watched_6s video_views_p25 video_views_p50 video_views_p75 "
    "video_views_p100 engaged_view engaged_view_15s likes comments shares follows profile_visits "
    "clicks_on_music_disc engagements complete_payment onsite_shopping initiate_checkout "
    "web_event_add_to_cart total_landing_page_view page_content_view_events vta_conversion cta_conversion "
    "reach",
)
# total_complete_payment_rate is, despite its name, the total purchase value (dossier 6.6).
MONEY = _same("money", "spend total_complete_payment_rate total_onsite_shopping_value voucher_spend")
PER_COST = tuple(
    Metric(name, "money", "spend", bottom, times)
    for name, bottom, times in (
        ("cpc", "clicks", 1),
        ("cpm", "impressions", 1000),
        ("cost_per_1000_reached", "reach", 1000),
        ("cost_per_conversion", "conversion", 1),
        ("real_time_cost_per_conversion", "real_time_conversion", 1),
        ("cost_per_result", "result", 1),
        ("real_time_cost_per_result", "real_time_result", 1),
        ("cost_per_complete_payment", "complete_payment", 1),
        ("cost_per_onsite_shopping", "onsite_shopping", 1),
    )
)
# Rates are percentages (dossier 6.5): "1.12" is 1.12 %.
RATES = tuple(
    Metric(name, "rate", top, bottom, 100)
    for name, top, bottom in (
        ("ctr", "clicks", "impressions"),
        ("conversion_rate", "conversion", "impressions"),  # both use impressions since 2023 (dossier 6.6)
        ("conversion_rate_v2", "conversion", "impressions"),
        ("real_time_conversion_rate", "real_time_conversion", "impressions"),
        ("real_time_conversion_rate_v2", "real_time_conversion", "impressions"),
        ("result_rate", "result", "impressions"),
        ("real_time_result_rate", "real_time_result", "impressions"),
        ("engagement_rate", "engagements", "impressions"),
        ("profile_visits_rate", "profile_visits", "impressions"),
        ("complete_payment_rate", "complete_payment", "clicks"),
    )
)
RATIOS = tuple(
    Metric(name, "rate", top, bottom)
    for name, top, bottom in (
        ("frequency", "impressions", "reach"),
        ("complete_payment_roas", "total_complete_payment_rate", "spend"),
        ("onsite_shopping_roas", "total_onsite_shopping_value", "spend"),
        ("average_video_play", "play_seconds", "video_play_actions"),
        ("average_video_play_per_user", "play_seconds", "reach"),
    )
)
VALUE_PER = (
    Metric("billed_cost", "money", "spend"),
    Metric("value_per_complete_payment", "money", "total_complete_payment_rate", "complete_payment"),
)
# Things nobody in this world does: app, SKAN, offline and form events are always zero.
NEVER = frozenset(
    [
        "app_install",
        "registration",
        "purchase",
        "total_purchase",
        "skan_conversion",
        "skan_result",
        "form",
        "button_click",
        "user_registration",
        "on_web_order",
        "engaged_view_through_conversions",
        "vta_purchase",
        "cta_purchase",
        "secondary_goal_result",
        "cost_per_secondary_goal_result",
        "secondary_goal_result_rate",
        "offline_shopping_events",
        "checkout",
        "view_content",
        "app_event_add_to_cart",
    ]
)
NUMERIC = {metric.name: metric for metric in (*COUNTS, *MONEY, *PER_COST, *RATES, *RATIOS, *VALUE_PER)}
# Only at advertiser level, daily (dossier 6.6, 9 #3).
ACCOUNT_ONLY = frozenset({"cash_spend", "voucher_spend"})
DEFAULT = ("spend", "impressions")  # dossier 6.1


def is_numeric(name: str) -> bool:
    """Say whether a name is a numeric metric this sandbox knows."""
    return name in NUMERIC or name in NEVER or name in ACCOUNT_ONLY


def additive(name: str) -> bool:
    """Say whether a metric of a coarser level is the plain sum of the finer level's."""
    metric = NUMERIC.get(name)
    return (
        metric is not None and metric.bottom is None and metric.top not in ("reach", "result", "real_time_result")
    )


def renderer(name: str, decimals: int) -> Renderer:
    """Return the function that writes one metric of a vector as text.

    Args:
        name: A numeric metric.
        decimals: The decimals of the account's currency.
    """
    if name in NEVER:
        return lambda _: "0"
    if name == "cash_spend":
        spend, voucher = POSITION["spend"], POSITION["voucher_spend"]
        return lambda vector: decimal_text(vector[spend] - vector[voucher], decimals)
    metric = NUMERIC[name]
    top = POSITION[metric.top]
    if metric.bottom is None:
        if metric.kind == "count" or decimals == 0:
            return lambda vector: str(vector[top])
        return _decimal_renderer(top, decimals)
    places = decimals if metric.kind == "money" else 2
    # Money is in minor units already; the rest gains its two decimals here.
    times = metric.times if metric.kind == "money" else metric.times * 100
    return _quotient_renderer(top, POSITION[metric.bottom], times, places)


def _decimal_renderer(top: int, decimals: int) -> Renderer:
    unit, shape = 10.0**decimals, f"%.{decimals}f"
    return lambda vector: shape % (vector[top] / unit)  # exact below 2^53: correctly rounded twice


def _quotient_renderer(top: int, bottom: int, times: int, places: int) -> Renderer:
    unit, shape, zero = 10.0**places, f"%.{places}f", decimal_text(0, places)

    def render(vector: Vector) -> str:
        below = vector[bottom]
        if below == 0:
            return zero
        return shape % ((2 * vector[top] * times + below) // (2 * below) / unit)  # half up

    return render


def decimal_text(units: int, decimals: int) -> str:
    """Return minor units as exact decimal text."""
    if decimals == 0:
        return str(units)
    return f"{units / 10**decimals:.{decimals}f}"  # exact below 2^53: correctly rounded twice
