"""Laws of the tables of data that everything else is derived from."""

from dataclasses import FrozenInstanceError
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.spec.columns import Kind, renamed
from tiktok_assets.spec.endpoints import ENDPOINTS, REPORT
from tiktok_assets.spec.entities import ENTITIES, LISTED_ENTITIES
from tiktok_assets.spec.error_codes import ERROR_CODES, Consequence, error_code
from tiktok_assets.spec.metrics import (
    METRICS,
    METRICS_BY_API_NAME,
    STANDARD_METRICS,
    UnknownMetricError,
    chosen_metrics,
)
from tiktok_assets.spec.reports import DAILY_REPORTS, LEVELS, LIFETIME_REPORTS, REPORTS, report_columns

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

api_names = st.lists(st.sampled_from(sorted(METRICS_BY_API_NAME)), min_size=1)


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
    assert chosen_metrics("") == STANDARD_METRICS


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
    assert {m.api_name for m in chosen_metrics(",".join(names))} == {"spend", *names}
    assert list(chosen_metrics(" , ".join(names))) == [m for m in METRICS if m.api_name in {"spend", *names}]


@given(api_names)
def test_a_wish_with_plus_adds(names: list[str]) -> None:
    """A list of +names keeps the standard set and adds to it."""
    wish = ",".join(f"+{name}" for name in names)
    assert {m.api_name for m in chosen_metrics(wish)} == {*PROMISED, *names}


@pytest.mark.parametrize("wish", ["spent", "+spent", "spend,spent", "total_complete_payment_value"])
def test_an_unknown_metric_is_named(wish: str) -> None:
    """A metric the catalogue lacks is an error that names it and lists those there are."""
    with pytest.raises(UnknownMetricError, match=r"there is no metric '\w+'; the metrics are: spend, impressions"):
        chosen_metrics(wish)


def test_there_is_a_report_for_each_level_and_cadence() -> None:
    """Four levels by day and over the whole life: eight reports."""
    assert {(report.level.name, report.cadence) for report in REPORTS} == {
        (level.name, cadence) for level in LEVELS for cadence in ("daily", "lifetime")
    }
    assert set(DAILY_REPORTS) | set(LIFETIME_REPORTS) == set(REPORTS)


def test_a_key_names_a_row() -> None:
    """A report's key is the account, then the day where there are days, then the level's own id."""
    keys = {report.table: report.key for report in REPORTS}
    assert keys["advertiser_report_daily"] == ("advertiser_id", "date")
    assert keys["advertiser_report_lifetime"] == ("advertiser_id",)
    assert keys["ad_group_report_daily"] == ("advertiser_id", "date", "ad_group_id")
    assert keys["ad_report_lifetime"] == ("advertiser_id", "ad_id")


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
        assert renamed(entity.key) in names


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
    assert all(entity.endpoint.paged for entity in LISTED_ENTITIES)


def test_every_code_has_a_consequence() -> None:
    """A listed code is filed under its own number, with one of the declared consequences."""
    for code, row in ERROR_CODES.items():
        assert error_code(code) is row
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
        (40700, "retry"),
        (50000, "retry"),
        (50002, "timeout"),
        (51010, "timeout"),
    ],
)
def test_the_codes_that_matter_most_mean_what_the_dossier_says(code: int, consequence: Consequence) -> None:
    """What the caller does next follows the dossier, code by code."""
    assert error_code(code).consequence == consequence


@given(st.integers().filter(lambda code: code not in ERROR_CODES))
def test_a_code_nobody_listed_is_not_repeated_unless_its_family_is(code: int) -> None:
    """An unlisted code is a wrong request, except among the named failures of TikTok's back end."""
    row = error_code(code)
    assert (row.code, row.name) == (code, "UNLISTED")
    assert row.consequence == ("retry" if 51000 <= code < 54000 else "request")
