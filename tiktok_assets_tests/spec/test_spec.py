"""Laws of the tables of data that everything else is derived from."""

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.sandbox.reads import breakdowns as sandbox_breakdowns
from tiktok_assets.sandbox.world import metrics as sandbox_metrics
from tiktok_assets.spec.columns import Kind, to_column_name
from tiktok_assets.spec.endpoints import ENDPOINTS, MAX_METRICS_PER_REPORT, REPORT
from tiktok_assets.spec.entities import ENTITIES
from tiktok_assets.spec.error_codes import ERROR_CODES, Consequence, get_error_code
from tiktok_assets.spec.metric_catalogue import AUDIENCE_METRICS, METRICS
from tiktok_assets.spec.metrics import (
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
from tiktok_assets.spec.reports import (
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

# The standard set as DESIGN section 4 promises it, by the API's names.
PROMISED = [
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


def test_no_two_rows_share_a_name() -> None:
    """A metric, a report, an entity, an endpoint and an error code are each declared once."""
    for names in (
        [metric.api_name for metric in METRICS],
        [metric.name for metric in METRICS],
        [report.table for report in REPORTS] + [entity.table for entity in ENTITIES],
        [endpoint.path for endpoint in ENDPOINTS],
        [row.name for row in ERROR_CODES.values()],
    ):
        assert sorted(set(names)) == sorted(names)


def test_rows_cannot_be_changed() -> None:
    """A row of the tables is what it was declared to be for as long as the process lives."""
    with pytest.raises(FrozenInstanceError):
        METRICS[0].name = "cost"  # type: ignore[misc]


def test_the_standard_set_is_the_promised_one() -> None:
    """Without a wish a report has exactly the metrics the documentation promises, in that order."""
    assert [metric.api_name for metric in STANDARD_METRICS] == PROMISED
    assert select_metrics("") == STANDARD_METRICS


def test_money_is_what_costs() -> None:
    """Every cost-per and every value is money, every share of something a rate or a ratio, and neither sums up."""
    for metric in METRICS:
        if metric.api_name.startswith(("cost_per", "cpc", "cpm", "real_time_cost")):
            assert (metric.kind, metric.additive) == ("money", False), metric
        if metric.kind in {"rate", "ratio"}:
            assert not metric.additive, metric
    for name in ("reach", "frequency", "result", "real_time_result"):
        assert not METRICS_BY_API_NAME[name].additive


@given(api_names)
def test_a_plain_wish_gives_what_it_names_and_spend(names: list[str]) -> None:
    """A plain list replaces the standard set, once each, in catalogue order, with spend."""
    assert {m.api_name for m in select_metrics(",".join(names))} == {"spend", *names}
    assert list(select_metrics(" , ".join(names))) == [m for m in METRICS if m.api_name in {"spend", *names}]


@given(api_names)
def test_a_wish_with_plus_adds(names: list[str]) -> None:
    """A list of +names keeps the standard set and adds to it."""
    wish = ",".join(f"+{name}" for name in names)
    assert {m.api_name for m in select_metrics(wish)} == {*PROMISED, *names}


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("+Spend", "small letters"),
        ("spend,5", "small letters"),
        ("spend;clicks", "small letters"),
        ("+campaign_name", "a column that reports have anyway"),
        ("total_complete_payment_value", "TikTok calls it 'total_complete_payment_rate'"),
    ],
)
def test_what_cannot_be_a_metric_is_refused(wish: str, words: str) -> None:
    """A name TikTok cannot have for a metric is an error that names it and says what is wrong."""
    with pytest.raises(UnknownMetricError, match=words):
        select_metrics(wish)


def test_no_other_column_can_be_taken_for_a_metric() -> None:
    """The names that are refused are those of every column of every report that is no metric."""
    others = {
        name for report in REPORTS for c in report_columns(report, ()) for name in (c.name, c.api_name) if name
    }
    assert others <= RESERVED_NAMES
    assert not RESERVED_NAMES & {*METRICS_BY_API_NAME, *METRICS_BY_NAME, *documented_metrics()}


def test_every_documented_metric_may_be_chosen() -> None:
    """Over a thousand names, those of 2026 among them; each with a kind, never summed, and in no audience."""
    documented = documented_metrics()
    assert len(documented) + len(METRICS) > 1000
    assert not documented.keys() & METRICS_BY_API_NAME.keys()
    assert {"cost_per_consideration", "new_consideration_size", "native_growth_purchase_roas"} <= documented.keys()
    for name, metric in documented.items():
        assert (metric.name, metric.additive, metric.standard) == (name, False, False)
        assert select_metrics(name)[-1] == metric
        assert (metric.kind == "money") == is_amount(name), name
        assert (metric.kind == "ratio") >= ("roas" in name), name
    for report in REPORTS:
        assert (served_metrics(report, documented.values()) == ()) == (report.breakdown is not None)


def is_amount(name: str) -> bool:
    """Whether a name is that of an amount: a cost, a value or a revenue, but no return on one."""
    parts = set(name.split("_"))
    return bool(parts & {"cost", "value", "revenue"}) and "roas" not in parts and "event_count" not in name


def test_the_sandbox_knows_the_same_names() -> None:
    """Written down apart, both sides name the same metrics."""
    assert {name for name in documented_metrics() if not sandbox_metrics.is_numeric(name)} == set()
    assert documented_metrics().keys() >= sandbox_metrics.DOCUMENTED


def test_a_name_nobody_documents_is_text_and_warned_of() -> None:
    """It is asked for and kept as TikTok writes it; the warning names it, with the name that may be meant."""
    *_, spent, mood = select_metrics("+spent,+mood_of_the_viewer")
    assert (spent.kind, spent.api_name, mood.kind) == ("text", "spent", "text")
    said = describe_undocumented_metrics(select_metrics("+spent,+mood_of_the_viewer"))
    assert "spent (perhaps spend is meant), mood_of_the_viewer" in said
    assert describe_undocumented_metrics(select_metrics("+purchase,+cost_per_consideration")) == ""


def test_there_is_a_report_for_each_level_and_cadence() -> None:
    """Four levels by day and over the whole life: eight reports that exist unless others are wished for."""
    assert {(report.level.name, report.cadence) for report in STANDARD_REPORTS} == {
        (level.name, cadence) for level in LEVELS for cadence in ("daily", "lifetime")
    }
    assert set(DAILY_REPORTS) | set(LIFETIME_REPORTS) == set(STANDARD_REPORTS)
    assert {report.table for report in STANDARD_REPORTS if report.splits} == set()


def test_the_optional_reports_are_the_promised_ones() -> None:
    """Hours at four levels and five breakdowns at four levels can be added, by the documented names."""
    breakdowns = ("age_gender", "country", "platform", "language", "interest")
    assert {report.table for report in OPTIONAL_REPORTS} == {
        *(f"{level.name}_report_hourly" for level in LEVELS),
        *(f"{level.name}_audience_{name}_daily" for level in LEVELS for name in breakdowns),
    }
    assert {report.cadence for report in OPTIONAL_REPORTS} == {"daily"}
    assert all(report.splits for report in OPTIONAL_REPORTS)


def test_a_report_keeps_the_rules_of_dimensions_and_windows() -> None:
    """One id, at most one time and one breakdown, of which only age and gender pair; windows as the API allows."""
    most = {"stat_time_hour": 1, "stat_time_day": 30}
    for report in REPORTS:
        ids = [name for name in report.dimensions if name.endswith("_id")]
        assert ids == [report.level.dimension]
        assert "ad_id_v2" not in report.dimensions
        assert "ad_id_v2" not in report.level.attributes
        split = report.breakdown.dimensions if report.breakdown else ()
        assert len(split) <= 1 or set(split) == {"age", "gender"}
        assert (report.report_type == "AUDIENCE") == bool(split)
        assert not (split and report.time_dimension == "stat_time_hour")
        assert not ("interest_category" in split and report.time_dimension)
        if report.cadence == "daily":
            # Without a time dimension the rows tell no day: one day at a time, though the API would allow 365.
            assert report.window_days == most.get(report.time_dimension or "", 1)


def test_a_metric_is_asked_for_only_where_it_is_served() -> None:
    """Cash and vouchers in the account's daily report only, audiences by their own list; columns follow suit."""
    rules = load_contract("report/integrated/get").rules
    assert set(rules["audience_metrics"]) == AUDIENCE_METRICS == sandbox_breakdowns.METRICS
    by_dimension = {name: set(names) for name, names in rules["audience_metrics_by_dimension"].items()}
    assert by_dimension == sandbox_breakdowns.EXTRA_METRICS
    for report in REPORTS:
        names = {column.api_name for column in report_columns(report, METRICS)}
        assert ({"cash_spend", "voucher_spend"} <= names) == (report.table == "advertiser_report_daily")
        if report.breakdown:
            own: set[str] = set().union(*(by_dimension.get(name, set()) for name in report.breakdown.dimensions))
            asked = {metric.api_name for metric in served_metrics(report, METRICS)}
            assert asked == {*rules["audience_metrics"], *own} & METRICS_BY_API_NAME.keys()
            assert {"complete_payment", "onsite_shopping"} & names == set()
        assert ("reach" in names) == (report.report_type == "BASIC" or "country" in report.table)
        assert {"spend", "impressions", "clicks", "conversion"} <= names
        assert len(report_columns(report, METRICS)) - len(report_columns(report, ())) == len(
            served_metrics(report, METRICS)
        )


def test_what_is_recomputed_follows_from_sums() -> None:
    """A quotient's parts are additive, and a quotient itself never is."""
    for metric in METRICS:
        if metric.quotient:
            assert not metric.additive
            parts = [METRICS_BY_API_NAME[name] for name in (metric.quotient.top, metric.quotient.bottom)]
            assert all(part.additive for part in parts), metric
    assert summable_columns(metric.name for metric in METRICS) == tuple(m.name for m in METRICS if m.additive)
    assert {m.name for m in recomputable_metrics(["spend", "reach", "impressions"])} == {"cpm"}


def test_more_metrics_than_a_report_takes_are_refused() -> None:
    """A hundred with the ad's own attributes is the most; the sentence says how many may be chosen."""
    assert MAX_CHOSEN_METRICS + max(len(level.attributes) for level in LEVELS) == MAX_METRICS_PER_REPORT
    most = ",".join(list(METRICS_BY_API_NAME)[:MAX_CHOSEN_METRICS])
    assert len(select_metrics(most)) == MAX_CHOSEN_METRICS
    with pytest.raises(TooManyMetricsError, match=r"^170 metrics are chosen, and a report takes at most 95;"):
        select_metrics(",".join(METRICS_BY_API_NAME))


FAMILIES_OF_THE_DOSSIER = """
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


def test_the_catalogue_has_every_metric_the_dossier_names() -> None:
    """Whatever tiktok_api.md section 6.6 names as a BASIC metric can be wished for."""
    assert set(FAMILIES_OF_THE_DOSSIER.split()) <= METRICS_BY_API_NAME.keys()


def test_a_key_names_a_row() -> None:
    """A report's key is the account, then the day where there are days, then the level's own id."""
    keys = {report.table: report.key for report in REPORTS}
    assert keys["advertiser_report_daily"] == ("advertiser_id", "date")
    assert keys["advertiser_report_lifetime"] == ("advertiser_id",)
    assert keys["ad_group_report_daily"] == ("advertiser_id", "date", "ad_group_id")
    assert keys["ad_report_lifetime"] == ("advertiser_id", "ad_id")
    assert keys["ad_report_hourly"] == ("advertiser_id", "date", "hour", "ad_id")
    assert keys["advertiser_audience_age_gender_daily"] == ("advertiser_id", "date", "age", "gender")
    assert keys["ad_audience_interest_daily"] == ("advertiser_id", "date", "ad_id", "interest_category")


def test_tables_begin_with_the_account_and_have_no_column_twice() -> None:
    """Every table starts with `advertiser_id`, names a column once, describes it, and holds its whole key."""
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


def test_a_level_names_its_parents_as_metrics_never_as_dimensions() -> None:
    """The API refuses a parent's id as a dimension: a level has one dimension, its own id."""
    for level in LEVELS:
        assert level.dimension not in level.attributes
    assert [level.status_field for level in LEVELS] == [None, "campaign_status", "adgroup_status", "ad_status"]


def test_paths_end_with_a_slash_and_say_where_they_were_read() -> None:
    """A documented path ends with a slash, for TikTok may redirect one that does not; each row has a source."""
    for endpoint in ENDPOINTS:
        assert endpoint.path.endswith("/")
        assert not endpoint.path.startswith("/")
        assert endpoint.source
    assert [endpoint for endpoint in ENDPOINTS if endpoint.punishes_repeats] == [REPORT]


def test_every_code_has_a_consequence() -> None:
    """A listed code is filed under its own number, with one of the declared consequences."""
    for code, row in ERROR_CODES.items():
        assert get_error_code(code) is row
        assert row.code == code
        assert row.consequence in get_args(Consequence)


@pytest.mark.parametrize(
    ("code", "consequence"),
    [
        (40001, "advertiser"),  # gotcha 5: skip the account, do not abort the run
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
def test_the_codes_that_matter_most_mean_what_the_dossier_says(code: int, consequence: Consequence) -> None:
    """What the caller does next follows the dossier, code by code."""
    assert get_error_code(code).consequence == consequence


@given(st.integers().filter(lambda code: code not in ERROR_CODES))
def test_a_code_nobody_listed_is_not_repeated_unless_its_family_is(code: int) -> None:
    """An unlisted code is a wrong request, except among the named failures of TikTok's back end."""
    row = get_error_code(code)
    assert (row.code, row.name) == (code, "UNLISTED")
    assert row.consequence == ("retry" if 51000 <= code < 54000 else "request")
