"""Tests of the catalogues of metrics, reports, entities, endpoints and error codes."""

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.sandbox.reads import breakdowns as sandbox_breakdowns
from tiktok_assets.sandbox.world import metrics as sandbox_metrics
from tiktok_assets.spec.columns import Kind, to_column_name
from tiktok_assets.spec.endpoints import ENDPOINTS, MAX_METRICS_PER_REPORT, REPORT
from tiktok_assets.spec.entities import ENTITIES, LISTED_ENTITIES
from tiktok_assets.spec.error_codes import ERROR_CODES, Consequence, get_error_code
from tiktok_assets.spec.metric_catalog import AUDIENCE_METRICS, METRICS
from tiktok_assets.spec.metric_selection import (
    MAX_CHOSEN_METRICS,
    METRICS_BY_API_NAME,
    METRICS_BY_NAME,
    RESERVED_NAMES,
    STANDARD_METRICS,
    TooManyMetricsError,
    UnknownMetricError,
    describe_undocumented_metrics,
    documented_metrics,
    recomputable_metrics,
    select_metrics,
    summable_columns,
)
from tiktok_assets.spec.report_sources import INTEGRATED
from tiktok_assets.spec.reports import (
    BREAKDOWNS,
    DAILY_REPORTS,
    LEVELS,
    LIFETIME_REPORTS,
    OPTIONAL_REPORTS,
    REPORTS,
    STANDARD_REPORTS,
    report_columns,
    served_metrics,
)
from tiktok_assets_tests.contracts.contract import load_contract

# The documented standard set, by the API's names.
DOCUMENTED_STANDARD_SET = [
    "spend",
    "impressions",
    "clicks",
    "ctr",
    "cpc",
    "cpm",
    "reach",
    "frequency",
    "conversion",
    "cost_per_conversion",
    "conversion_rate_v2",
    "real_time_conversion",
    "result",
    "cost_per_result",
    "video_play_actions",
    "video_watched_2s",
    "video_watched_6s",
    "video_views_p25",
    "video_views_p50",
    "video_views_p75",
    "video_views_p100",
    "likes",
    "comments",
    "shares",
    "follows",
    "profile_visits",
    "complete_payment",
    "complete_payment_roas",
    "total_complete_payment_rate",
    "onsite_shopping",
    "total_onsite_shopping_value",
]

api_names = st.lists(st.sampled_from(sorted(METRICS_BY_API_NAME)), min_size=1, max_size=40)


def test_names_are_unique() -> None:
    """Metrics, reports, entities, endpoints and error codes have unique names."""
    for names in (
        [metric.api_name for metric in METRICS],
        [metric.name for metric in METRICS],
        [report.table for report in REPORTS] + [entity.table for entity in ENTITIES],
        [endpoint.path for endpoint in ENDPOINTS],
        [row.name for row in ERROR_CODES.values()],
    ):
        assert sorted(set(names)) == sorted(names)


def test_entries_are_immutable() -> None:
    """An entry of the catalogues cannot be changed."""
    with pytest.raises(FrozenInstanceError):
        METRICS[0].name = "cost"  # type: ignore[misc]


def test_standard_metrics_are_the_documented_ones() -> None:
    """Without a selection a report has exactly the documented metrics, in that order."""
    assert [metric.api_name for metric in STANDARD_METRICS] == DOCUMENTED_STANDARD_SET
    assert select_metrics("") == STANDARD_METRICS


def test_costs_are_money_and_averages_are_not_additive() -> None:
    """Costs are money, and costs, rates, ratios, reach and results are not additive."""
    for metric in METRICS:
        if metric.api_name.startswith(("cost_per", "cpc", "cpm", "real_time_cost")):
            assert (metric.kind, metric.is_additive) == ("money", False), metric
        if metric.kind in {"rate", "ratio"}:
            assert not metric.is_additive, metric
    for name in ("reach", "frequency", "result", "real_time_result"):
        assert not METRICS_BY_API_NAME[name].is_additive


@given(api_names)
def test_plain_list_selects_its_metrics_and_spend(names: list[str]) -> None:
    """A list without + replaces the standard set, without duplicates, in catalogue order, with spend."""
    assert {m.api_name for m in select_metrics(",".join(names))} == {"spend", *names}
    assert list(select_metrics(" , ".join(names))) == [m for m in METRICS if m.api_name in {"spend", *names}]


@given(api_names)
def test_list_with_plus_adds_to_the_standard_set(names: list[str]) -> None:
    """A list of +names keeps the standard set and adds to it."""
    choice = ",".join(f"+{name}" for name in names)
    assert {m.api_name for m in select_metrics(choice)} == {*DOCUMENTED_STANDARD_SET, *names}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("+Spend", "lower-case letters"),
        ("spend,5", "lower-case letters"),
        ("spend;clicks", "lower-case letters"),
        ("+campaign_name", "a column that every report has"),
        ("total_complete_payment_value", "use the API's name 'total_complete_payment_rate'"),
    ],
)
def test_invalid_metric_name_is_rejected(choice: str, message: str) -> None:
    """A name that cannot be a metric raises an error with the name and the reason."""
    with pytest.raises(UnknownMetricError, match=message):
        select_metrics(choice)


def test_reserved_names_are_all_other_report_columns() -> None:
    """The reserved names include every column of every report that is not a metric, and no metric."""
    others = {
        name for report in REPORTS for c in report_columns(report, ()) for name in (c.name, c.api_name) if name
    }
    assert others <= RESERVED_NAMES
    assert not RESERVED_NAMES & {*METRICS_BY_API_NAME, *METRICS_BY_NAME, *documented_metrics()}


def test_every_documented_metric_can_be_selected() -> None:
    """More than 1,000 metrics can be selected; each has a kind, is not summed, and is not served to audiences."""
    documented = documented_metrics()
    assert len(documented) + len(METRICS) > 1000
    assert not documented.keys() & METRICS_BY_API_NAME.keys()
    assert {"cost_per_consideration", "new_consideration_size", "native_growth_purchase_roas"} <= documented.keys()
    for name, metric in documented.items():
        assert (metric.name, metric.is_additive, metric.is_standard) == (name, False, False)
        assert select_metrics(name)[-1] == metric
        assert (metric.kind == "money") == is_amount(name), name
        assert (metric.kind == "ratio") >= ("roas" in name), name
    for report in REPORTS:
        assert (served_metrics(report, documented.values()) == ()) == (report.report_type == "AUDIENCE")


def is_amount(name: str) -> bool:
    """Return whether a name is that of an amount: a cost, a value or revenue, but not a return on one."""
    parts = set(name.split("_"))
    return bool(parts & {"cost", "value", "revenue"}) and "roas" not in parts and "event_count" not in name


def test_sandbox_has_the_same_metric_names() -> None:
    """The sandbox's own list of metrics has the same names."""
    assert {name for name in documented_metrics() if not sandbox_metrics.is_numeric(name)} == set()
    assert documented_metrics().keys() | METRICS_BY_API_NAME.keys() >= sandbox_metrics.DOCUMENTED


def test_undocumented_metric_is_text_with_a_warning() -> None:
    """An undocumented metric is stored as text, and the warning suggests a similar documented name."""
    *_, spent, mood = select_metrics("+spent,+mood_of_the_viewer")
    assert (spent.kind, spent.api_name, mood.kind) == ("text", "spent", "text")
    warning = describe_undocumented_metrics(select_metrics("+spent,+mood_of_the_viewer"))
    assert "spent (did you mean spend?), mood_of_the_viewer" in warning
    assert describe_undocumented_metrics(select_metrics("+purchase,+cost_per_consideration")) == ""


def test_standard_reports_cover_each_level_and_cadence() -> None:
    """The standard reports are four levels and two of Smart+, each by day and over the whole lifetime."""
    levels = [*(level.name for level in LEVELS), "smart_plus_ad", "smart_plus_creative"]
    assert {(report.level.name, report.cadence) for report in STANDARD_REPORTS} == {
        (level, cadence) for level in levels for cadence in ("daily", "lifetime")
    }
    assert set(DAILY_REPORTS) | set(LIFETIME_REPORTS) == {one for one in STANDARD_REPORTS if not one.condition}
    split = {report.level.name for report in STANDARD_REPORTS if report.is_split}
    assert split == {"smart_plus_creative"}


def test_optional_reports_are_hours_and_breakdowns() -> None:
    """The optional reports are hours and each breakdown, each at four levels."""
    assert {report.table for report in OPTIONAL_REPORTS} == {
        *(f"{level.name}_report_hourly" for level in LEVELS),
        *(f"{level.name}_audience_{split.name}_daily" for level in LEVELS for split in BREAKDOWNS),
    }
    assert {report.cadence for report in OPTIONAL_REPORTS} == {"daily"}
    assert all(report.is_split for report in OPTIONAL_REPORTS)


def test_reports_follow_the_rules_of_dimensions_and_windows() -> None:
    """A report has one id, at most one time dimension, one breakdown, and a window the API allows."""
    max_days = {"stat_time_hour": 1, "stat_time_day": 30}
    for report in REPORTS:
        if report.source != INTEGRATED:
            continue
        breakdown = report.breakdown.dimensions if report.breakdown else ()
        ids = [name for name in report.dimensions if name.endswith(("_id", "_v2")) and name not in breakdown]
        assert ids == [report.level.dimension]
        assert not {"ad_id", "ad_id_v2"} <= {*report.dimensions, *report.level.requested_attributes}
        assert len(breakdown) <= 1 or set(breakdown) == {"age", "gender"}
        assert (report.report_type == "AUDIENCE") == bool(breakdown)
        assert not (breakdown and report.time_dimension == "stat_time_hour")
        assert not ({"interest_category", "device_brand_id"} & set(breakdown) and report.time_dimension)
        if report.cadence == "daily":
            # Without a time dimension the rows have no day: one day at a time, although the API allows 365.
            assert report.window_days == max_days.get(report.time_dimension or "", 1)


def test_metric_is_requested_only_where_it_is_served() -> None:
    """Cash and voucher spend are only requested in the account's daily report; audiences have their own list."""
    rules = load_contract("report/integrated/get").rules
    assert set(rules["audience_metrics"]) == AUDIENCE_METRICS == sandbox_breakdowns.AUDIENCE_METRICS
    by_dimension = {name: set(names) for name, names in rules["audience_metrics_by_dimension"].items()}
    assert by_dimension == sandbox_breakdowns.EXTRA_METRICS
    for report in REPORTS:
        names = {column.api_name for column in report_columns(report, METRICS)}
        assert ({"cash_spend", "voucher_spend"} <= names) == (report.table == "advertiser_report_daily")
        if report.report_type == "AUDIENCE" and report.breakdown:
            own: set[str] = set().union(*(by_dimension.get(name, set()) for name in report.breakdown.dimensions))
            requested = {metric.api_name for metric in served_metrics(report, METRICS)}
            assert requested == {*rules["audience_metrics"], *own} & METRICS_BY_API_NAME.keys()
            assert {"complete_payment", "onsite_shopping"} & names == set()
        assert ("reach" in names) == (report.report_type == "BASIC" or "country" in report.table)
        assert {"spend", "impressions", "clicks", "conversion"} <= names
        assert len(report_columns(report, METRICS)) - len(report_columns(report, ())) == len(
            served_metrics(report, METRICS)
        )


def test_quotients_have_additive_parts() -> None:
    """The parts of a quotient are additive, and the quotient itself is not."""
    for metric in METRICS:
        if metric.quotient:
            assert not metric.is_additive
            parts = [
                METRICS_BY_API_NAME[name] for name in (metric.quotient.numerator, metric.quotient.denominator)
            ]
            assert all(part.is_additive for part in parts), metric
    assert summable_columns(metric.name for metric in METRICS) == tuple(m.name for m in METRICS if m.is_additive)
    assert {m.name for m in recomputable_metrics(["spend", "reach", "impressions"])} == {"cpm"}


def test_too_many_metrics_are_rejected() -> None:
    """At most 100 metrics, attributes included, can be requested; the error says how many can be selected."""
    assert MAX_CHOSEN_METRICS + max(len(level.attributes) for level in LEVELS) == MAX_METRICS_PER_REPORT
    choice = ",".join(list(METRICS_BY_API_NAME)[:MAX_CHOSEN_METRICS])
    assert len(select_metrics(choice)) == MAX_CHOSEN_METRICS
    with pytest.raises(
        TooManyMetricsError, match=rf"^{len(METRICS)} metrics are selected, but a report can have at most 95;"
    ):
        select_metrics(",".join(METRICS_BY_API_NAME))


METRICS_OF_API_NOTES = """
    spend billed_cost cash_spend voucher_spend cpc cpm impressions gross_impressions clicks ctr reach frequency
    cost_per_1000_reached conversion cost_per_conversion conversion_rate conversion_rate_v2 real_time_conversion
    real_time_cost_per_conversion real_time_conversion_rate real_time_conversion_rate_v2 result cost_per_result
    result_rate real_time_result secondary_goal_result video_play_actions video_watched_2s video_watched_6s
    video_views_p25 video_views_p50 video_views_p75 video_views_p100 average_video_play
    average_video_play_per_user engaged_view engaged_view_15s engagements engagement_rate likes comments shares
    follows profile_visits profile_visits_rate clicks_on_music_disc app_install cost_per_app_install registration
    purchase total_purchase total_purchase_value total_active_pay_roas app_event_add_to_cart checkout view_content
    complete_payment complete_payment_roas cost_per_complete_payment complete_payment_rate
    value_per_complete_payment total_complete_payment_rate total_landing_page_view initiate_checkout
    web_event_add_to_cart on_web_order page_content_view_events form button_click user_registration onsite_shopping
    onsite_shopping_roas total_onsite_shopping_value cost_per_onsite_shopping skan_conversion skan_result
    skan_cost_per_result vta_conversion cta_conversion engaged_view_through_conversions vta_app_install
    cta_app_install evta_app_install vta_registration cta_registration evta_registration vta_purchase cta_purchase
    evta_purchase offline_shopping_events messaging_total_conversation_tiktok_direct_message
"""


def test_catalogue_has_every_metric_of_the_api_notes() -> None:
    """Every BASIC metric of API notes 6.6 can be selected."""
    assert set(METRICS_OF_API_NOTES.split()) <= METRICS_BY_API_NAME.keys()


def test_report_keys() -> None:
    """A report's key is the account, then the day where there are days, then the level's id."""
    keys = {report.table: report.key for report in REPORTS}
    assert keys["advertiser_report_daily"] == ("advertiser_id", "date")
    assert keys["advertiser_report_lifetime"] == ("advertiser_id",)
    assert keys["ad_group_report_daily"] == ("advertiser_id", "date", "ad_group_id")
    assert keys["ad_report_lifetime"] == ("advertiser_id", "ad_id")
    assert keys["ad_report_hourly"] == ("advertiser_id", "date", "hour", "ad_id")
    assert keys["advertiser_audience_age_gender_daily"] == ("advertiser_id", "date", "age", "gender")
    assert keys["ad_audience_interest_daily"] == ("advertiser_id", "date", "ad_id", "interest_category")


def test_tables_start_with_the_account_and_have_unique_columns() -> None:
    """Every table starts with `advertiser_id`, has unique columns with meanings, and contains its whole key."""
    for report in REPORTS:
        columns = report_columns(report, METRICS)
        names = [column.name for column in columns]
        assert names[0] == "advertiser_id"
        assert len(set(names)) == len(names)
        assert set(report.key) <= set(names)
        assert [column.name for column in columns if not column.meaning or column.kind not in get_args(Kind)] == []
    for entity in ENTITIES:
        names = [column.name for column in entity.columns]
        assert names[0] == "advertiser_id"
        assert len(set(names)) == len(names)
        assert to_column_name(entity.key) in names


def test_parents_are_attributes_not_dimensions() -> None:
    """The API rejects a parent's id as a dimension: a level has one dimension, its own id."""
    for level in LEVELS:
        assert level.dimension not in level.attributes
    assert [level.status_field for level in LEVELS] == [None, "campaign_status", "adgroup_status", "ad_status"]


def test_paths_end_with_a_slash_and_have_a_source() -> None:
    """A path ends with a slash, because TikTok may redirect others, and every endpoint has a source."""
    for endpoint in ENDPOINTS:
        assert endpoint.path.endswith("/")
        assert not endpoint.path.startswith("/")
        assert endpoint.source
    assert [endpoint for endpoint in ENDPOINTS if endpoint.penalizes_repeats] == [REPORT]


def test_only_tables_of_some_accounts_have_optional_endpoints() -> None:
    """An endpoint that the app may lack belongs to tables that only some accounts have."""
    conditions = {entity.table: entity.condition for entity in LISTED_ENTITIES if entity.endpoint.is_optional}
    conditions |= {report.table: report.condition for report in REPORTS if report.source.endpoint.is_optional}
    assert conditions.keys() == {
        *("smart_plus_ads", "smart_plus_creative_report_daily", "smart_plus_creative_report_lifetime"),
    }
    assert all(conditions.values())


def test_elements_of_a_creative_report_have_the_same_columns() -> None:
    """The parts of a creative report differ in their names in the API only, so that one table can hold them."""
    for report in (one for one in REPORTS if one.parts):
        first, *others = ([(c.name, c.kind) for c in report_columns(part, METRICS)] for part in report.queries)
        assert all(columns == first for columns in others)
        assert report.parts[0].name == "main_material"
        api_names = [set(part.breakdown.dimensions) for part in report.queries if part.breakdown]
        assert len(set().union(*api_names)) == len(report.parts)


def test_every_error_code_has_a_consequence() -> None:
    """A listed code is stored under its own number, with one of the declared consequences."""
    for code, row in ERROR_CODES.items():
        assert get_error_code(code) is row
        assert row.code == code
        assert row.consequence in get_args(Consequence)


@pytest.mark.parametrize(
    ("code", "consequence"),
    [
        (40001, "advertiser"),  # gotcha 5: the account fails, the run continues
        (40002, "request"),
        (40016, "throttled"),
        (40067, "too_large"),
        (40100, "throttled"),
        (40105, "credentials"),
        (40133, "throttled"),
        (40101, "credentials"),
        (40115, "credentials"),
        (40700, "request"),
        (41000, "banned"),
        (50000, "retry"),
        (50002, "timeout"),
        (51010, "timeout"),
    ],
)
def test_consequences_of_important_codes(code: int, consequence: Consequence) -> None:
    """The consequences of important codes are those of the API notes."""
    assert get_error_code(code).consequence == consequence


@given(st.integers().filter(lambda code: code not in ERROR_CODES))
def test_unlisted_code_is_not_retried_except_backend_failures(code: int) -> None:
    """An unlisted code is an invalid request, except in the range of TikTok's back-end failures."""
    row = get_error_code(code)
    assert (row.code, row.name) == (code, "UNLISTED")
    assert row.consequence == ("retry" if 51000 <= code < 54000 else "request")
