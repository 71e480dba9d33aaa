"""Define the BASIC metrics: their source columns and their text format (API notes 6.6)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tiktok_assets.sandbox.world.ad_delivery import POSITION, Vector

NO_VALUE = "-"  # API notes 6.5
Formatter = Callable[[Vector], str]


@dataclass(frozen=True)
class Metric:
    """A numeric metric: a column, or a quotient of two.

    Attributes:
        name: The API's name.
        kind: `count`, `money` (the account's currency and its decimals, API notes 7) or `rate` (two decimals).
        numerator: A delivery column.
        denominator: The column to divide by; None for the numerator alone.
        factor: The factor of the quotient.
    """

    name: str
    kind: str
    numerator: str
    denominator: str | None = None
    factor: int = 1

    @property
    def counts_unique_users(self) -> bool:
        """Return whether the metric depends on reach, which is late and not additive (API notes 7)."""
        return "reach" in (self.numerator, self.denominator)


def _plain_metrics(kind: str, names: str) -> tuple[Metric, ...]:
    return tuple(Metric(name, kind, name) for name in names.split())


COUNTS = _plain_metrics(
    "count",
    "impressions gross_impressions clicks conversion real_time_conversion result real_time_result "
    "video_play_actions video_watched_2s video_watched_6s video_views_p25 video_views_p50 video_views_p75 "
    "video_views_p100 engaged_view engaged_view_15s likes comments shares follows profile_visits "
    "clicks_on_music_disc engagements complete_payment onsite_shopping initiate_checkout "
    "web_event_add_to_cart total_landing_page_view page_content_view_events vta_conversion cta_conversion "
    "reach",
)
# total_complete_payment_rate is, despite its name, the total purchase value (API notes 6.6).
MONEY = _plain_metrics("money", "spend total_complete_payment_rate total_onsite_shopping_value voucher_spend")
COSTS = tuple(
    Metric(name, "money", "spend", denominator, factor)
    for name, denominator, factor in (
        ("cpc", "clicks", 1),
        ("cpm", "impressions", 1000),
        ("cost_per_1000_reached", "reach", 1000),
        ("cost_per_conversion", "conversion", 1),
        ("real_time_cost_per_conversion", "real_time_conversion", 1),
        ("cost_per_result", "result", 1),
        ("real_time_cost_per_result", "real_time_result", 1),
        ("cost_per_complete_payment", "complete_payment", 1),
        ("cost_per_onsite_shopping", "onsite_shopping", 1),
        ("cost_per_landing_page_view", "total_landing_page_view", 1),
        ("cost_per_initiate_checkout", "initiate_checkout", 1),
        ("cost_per_web_event_add_to_cart", "web_event_add_to_cart", 1),
        ("cost_per_page_content_view_event", "page_content_view_events", 1),
        ("cost_per_vta_conversion", "vta_conversion", 1),
        ("cost_per_cta_conversion", "cta_conversion", 1),
    )
)
# Rates are percentages (API notes 6.5): "1.12" is 1.12 %.
RATES = tuple(
    Metric(name, "rate", numerator, denominator, 100)
    for name, numerator, denominator in (
        ("ctr", "clicks", "impressions"),
        ("conversion_rate", "conversion", "impressions"),  # both use impressions since 2023 (API notes 6.6)
        ("conversion_rate_v2", "conversion", "impressions"),
        ("real_time_conversion_rate", "real_time_conversion", "impressions"),
        ("real_time_conversion_rate_v2", "real_time_conversion", "impressions"),
        ("result_rate", "result", "impressions"),
        ("real_time_result_rate", "real_time_result", "impressions"),
        ("engagement_rate", "engagements", "impressions"),
        ("profile_visits_rate", "profile_visits", "impressions"),
        ("complete_payment_rate", "complete_payment", "clicks"),
        ("landing_page_view_rate", "total_landing_page_view", "clicks"),
        ("initiate_checkout_rate", "initiate_checkout", "clicks"),
        ("web_event_add_to_cart_rate", "web_event_add_to_cart", "clicks"),
        ("page_content_view_event_rate", "page_content_view_events", "clicks"),
    )
)
RATIOS = tuple(
    Metric(name, "rate", numerator, denominator)
    for name, numerator, denominator in (
        ("frequency", "impressions", "reach"),
        ("complete_payment_roas", "total_complete_payment_rate", "spend"),
        ("onsite_shopping_roas", "total_onsite_shopping_value", "spend"),
        ("average_video_play", "play_seconds", "video_play_actions"),
        ("average_video_play_per_user", "play_seconds", "reach"),
    )
)
VALUES = (
    Metric("billed_cost", "money", "spend"),
    Metric("value_per_complete_payment", "money", "total_complete_payment_rate", "complete_payment"),
)
# Events that do not occur in this world (app, SKAN, offline, messaging and form), with their costs and values:
# always zero. The names are those of bububa/tiktok-business, which API notes 6.6 cite.
ALWAYS_ZERO = frozenset(
    [
        "app_install",
        "cost_per_app_install",
        "real_time_app_install",
        "real_time_app_install_cost",
        "total_active_pay_roas",
        "registration",
        "cost_per_registration",
        "registration_rate",
        "total_registration",
        "cost_per_total_registration",
        "purchase",
        "cost_per_purchase",
        "purchase_rate",
        "total_purchase",
        "cost_per_total_purchase",
        "value_per_total_purchase",
        "total_purchase_value",
        "app_event_add_to_cart",
        "cost_per_app_event_add_to_cart",
        "app_event_add_to_cart_rate",
        "total_app_event_add_to_cart",
        "cost_per_total_app_event_add_to_cart",
        "value_per_total_app_event_add_to_cart",
        "total_app_event_add_to_cart_value",
        "checkout",
        "cost_per_checkout",
        "checkout_rate",
        "total_checkout",
        "cost_per_total_checkout",
        "value_per_checkout",
        "total_checkout_value",
        "view_content",
        "cost_per_view_content",
        "view_content_rate",
        "total_view_content",
        "cost_per_total_view_content",
        "value_per_total_view_content",
        "total_view_content_value",
        "sales_lead",
        "cost_per_sales_lead",
        "sales_lead_rate",
        "total_sales_lead",
        "cost_per_total_sales_lead",
        "value_per_total_sales_lead",
        "total_sales_lead_value",
        "value_per_initiate_checkout",
        "total_initiate_checkout_value",
        "value_per_web_event_add_to_cart",
        "total_web_event_add_to_cart_value",
        "value_per_page_content_view_event",
        "total_page_view_content_events_value",
        "on_web_order",
        "cost_per_on_web_order",
        "on_web_order_rate",
        "value_per_on_web_order",
        "total_on_web_order_value",
        "form",
        "cost_per_form",
        "form_rate",
        "value_per_form",
        "total_form_value",
        "button_click",
        "cost_per_button_click",
        "button_click_rate",
        "value_per_button_click",
        "total_button_click_value",
        "user_registration",
        "cost_per_user_registration",
        "user_registration_rate",
        "value_per_user_registration",
        "total_user_registration_value",
        "engaged_view_through_conversions",
        "cost_per_engaged_view_through_conversion",
        "vta_app_install",
        "vta_registration",
        "vta_purchase",
        "cta_app_install",
        "cta_registration",
        "cta_purchase",
        "evta_app_install",
        "evta_registration",
        "evta_purchase",
        "secondary_goal_result",
        "cost_per_secondary_goal_result",
        "secondary_goal_result_rate",
        "skan_conversion",
        "skan_cost_per_conversion",
        "skan_result",
        "skan_cost_per_result",
        "offline_shopping_events",
        "cost_per_offline_shopping_event",
        "offline_shopping_event_rate",
        "value_per_offline_shopping_event",
        "offline_shopping_events_value",
        "offline_shopping_events_roas",
        "messaging_total_conversation_tiktok_direct_message",
        "messaging_total_conversation_instant_messaging_app",
    ]
)
NUMERIC = {metric.name: metric for metric in (*COUNTS, *MONEY, *COSTS, *RATES, *RATIOS, *VALUES)}
DOCUMENTED = frozenset(
    line
    for line in Path(__file__).with_name("documented_metrics.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
# Available at advertiser level by day only (API notes 6.6, 9 #3).
ACCOUNT_METRICS = frozenset({"cash_spend", "voucher_spend"})
DEFAULT_METRICS = ("spend", "impressions")  # API notes 6.1


def is_numeric(name: str) -> bool:
    """Return whether a name is a numeric metric of this sandbox."""
    return name in NUMERIC or name in ALWAYS_ZERO or name in ACCOUNT_METRICS or name in DOCUMENTED


def is_additive(name: str) -> bool:
    """Return whether a metric's value at a coarser level is the sum of its values at a finer one."""
    metric = NUMERIC.get(name)
    not_additive = ("reach", "result", "real_time_result")
    return metric is not None and metric.denominator is None and metric.numerator not in not_additive


def formatter_for(name: str, decimals: int) -> Formatter:
    """Return a function that formats one metric of a vector.

    Args:
        name: A numeric metric.
        decimals: The decimals of the account's currency.
    """
    if name in ALWAYS_ZERO or name in DOCUMENTED:
        return lambda _: "0"
    if name == "cash_spend":
        spend, voucher = POSITION["spend"], POSITION["voucher_spend"]
        return lambda vector: format_decimal(vector[spend] - vector[voucher], decimals)
    metric = NUMERIC[name]
    numerator = POSITION[metric.numerator]
    if metric.denominator is None:
        if metric.kind == "count" or decimals == 0:
            return lambda vector: str(vector[numerator])
        return _decimal_formatter(numerator, decimals)
    places = decimals if metric.kind == "money" else 2
    # Money is in minor units already; other values get their two decimals here.
    factor = metric.factor if metric.kind == "money" else metric.factor * 100
    return _quotient_formatter(numerator, POSITION[metric.denominator], factor, places)


def _decimal_formatter(column: int, decimals: int) -> Formatter:
    unit, template = 10.0**decimals, f"%.{decimals}f"
    return lambda vector: template % (vector[column] / unit)  # exact below 2^53: both steps round correctly


def _quotient_formatter(numerator: int, denominator: int, factor: int, places: int) -> Formatter:
    unit, template, zero = 10.0**places, f"%.{places}f", format_decimal(0, places)

    def format_quotient(vector: Vector) -> str:
        divisor = vector[denominator]
        if divisor == 0:
            return zero
        return template % ((2 * vector[numerator] * factor + divisor) // (2 * divisor) / unit)  # rounded half up

    return format_quotient


def format_decimal(units: int, decimals: int) -> str:
    """Format minor units as exact decimal text."""
    if decimals == 0:
        return str(units)
    return f"{units / 10**decimals:.{decimals}f}"  # exact below 2^53: both steps round correctly
