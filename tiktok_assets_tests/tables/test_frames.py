"""Tests of building frames: values of the API are stored exactly, or kept as malformed."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.spec.entities import AD_GROUPS, ADS, ADVERTISERS, CAMPAIGNS, ENTITIES, Entity
from tiktok_assets.spec.metric_catalog import METRICS, Metric
from tiktok_assets.spec.metric_selection import STANDARD_METRICS, select_metrics
from tiktok_assets.spec.report_model import Report
from tiktok_assets.spec.reports import REPORTS, REPORTS_BY_TABLE, report_columns
from tiktok_assets.tables.account_calendar import Account, ValueFormatError, is_complete, is_settled
from tiktok_assets.tables.frames import (
    Row,
    build_entity_frame,
    build_report_frame,
    parse_report_page,
    parse_report_page_fast,
)
from tiktok_assets.tables.report_row_parser import FAULT_COLUMN, count_malformed_values, split_faulty_rows
from tiktok_assets.tables.schema import INSTANT, POLARS_TYPES, build_schema, entity_columns, report_schema
from tiktok_assets.tables.value_parser import MALFORMED, encode_json

AD_DAILY = REPORTS_BY_TABLE["ad_report_daily"]
ADVERTISER_DAILY = REPORTS_BY_TABLE["advertiser_report_daily"]
AD_HOURLY = REPORTS_BY_TABLE["ad_report_hourly"]
AD_LIFETIME = REPORTS_BY_TABLE["ad_report_lifetime"]
BERLIN = Account("7104142337395130369", "EUR", "Europe/Berlin")
NOW = datetime(2026, 3, 20, 13, 30, 1, 5, tzinfo=UTC)
EARLIEST, LATEST = (datetime(year, 1, 1, tzinfo=UTC).replace(tzinfo=None) for year in (1970, 2100))
FOUR_PLACES = Decimal("0.0001")

METRIC_OF = {metric.api_name: metric for metric in METRICS}
SPEND, CPC, CLICKS, CTR, FREQUENCY = (METRIC_OF[n] for n in ("spend", "cpc", "clicks", "ctr", "frequency"))

each_report = pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.table)
each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.table)
each_metric = pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.api_name)

money = st.decimals(Decimal("-99999999999999.9999"), Decimal("99999999999999.9999"), places=4)
ids = st.integers(10**15, 10**19 - 1)
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
unknown_fields = st.dictionaries(st.text(max_size=9).map("not_declared_{}".format), anything, max_size=4)


def report_row(report: Report, *, day: str = "2026-03-01 00:00:00", key: str = "1", **metrics: Any) -> Row:  # noqa: ANN401
    """Build one row as the report endpoint returns it."""
    dimensions = {report.level.dimension: BERLIN.advertiser_id if report.level.name == "advertiser" else key}
    if report.time_dimension:
        dimensions[report.time_dimension] = day
    for name in report.breakdown.dimensions if report.breakdown else ():
        dimensions[name] = "NONE"
    return {"dimensions": dimensions, "metrics": metrics}


def parse_metric(metric: Metric, value: Any) -> Any:  # noqa: ANN401
    """Parse one value of a metric."""
    row = report_row(ADVERTISER_DAILY, **{metric.api_name: value})
    page = parse_report_page(ADVERTISER_DAILY, (metric,), [row], unknown_fields=set())
    return page.get_column(metric.name).item()


def parse_metric_with_original(metric: Metric, value: Any) -> tuple[Any, Any]:  # noqa: ANN401
    """Parse one value of a metric, and return the cell and the original value in `extra`."""
    row = report_row(ADVERTISER_DAILY, **{metric.api_name: value})
    page = parse_report_page(ADVERTISER_DAILY, (metric,), [row], unknown_fields=set())
    return page.get_column(metric.name).item(), original_in_extra(page, metric.api_name)


def original_in_extra(frame: pl.DataFrame, name: str) -> Any:  # noqa: ANN401
    """Return the original value of a malformed cell from `extra`, or None."""
    extra = frame.get_column("extra").item(frame.height - 1)
    return json.loads(extra)[MALFORMED][name] if extra else None


def parse_field(entity: Entity, name: str, value: Any) -> Any:  # noqa: ANN401
    """Parse one field of an entity."""
    frame = build_entity_frame(entity, [{"advertiser_id": "1", name: value}], NOW, unknown_fields=set())
    column = next(column for column in entity.columns if column.api_name == name)
    return frame.get_column(column.name).item()


@given(money, st.sampled_from([m for m in METRICS if m.kind == "money" and m.is_additive]), st.integers(0, 30))
def test_report_money_is_exact(amount: Decimal, metric: Metric, zeros: int) -> None:
    """An amount of up to 14 digits and four decimals is stored exactly, with or without trailing zeros."""
    stored = parse_metric(metric, f"{amount:f}" + "0" * zeros)
    assert isinstance(stored, Decimal)
    assert stored == amount


@given(money, st.integers(1, 9), st.integers(5, 30), st.sampled_from([m for m in METRICS if m.is_additive]))
def test_rounded_money_keeps_its_original(amount: Decimal, digit: int, place: int, metric: Metric) -> None:
    """A fifth decimal of an additive amount is rounded and its original kept; float noise is only rounded."""
    text = f"{amount:f}".ljust(place - 4 + len(f"{amount:f}") - 1, "0") + str(digit)
    exact = Decimal(text)
    value, kept = parse_metric_with_original(metric, text)
    if metric.kind == "count":
        assert (value, kept) == (None, text)
        return
    with localcontext(prec=60):
        rounded = exact.quantize(FOUR_PLACES, ROUND_HALF_EVEN)
        is_noise = abs(exact - rounded) <= Decimal("1e-9")
    if abs(rounded) >= 10**14:
        assert (value, kept) == (None, text)
    else:
        assert (value, kept) == (rounded, None if is_noise else text)


@given(st.decimals(0, 10**12, places=9))
def test_average_is_rounded_to_four_decimals(amount: Decimal) -> None:
    """An average, which TikTok has rounded already, is stored within half of the fourth decimal."""
    assert abs(parse_metric(CPC, f"{amount:f}") - amount) <= FOUR_PLACES / 2


@given(st.integers(0, 10**18 - 1), st.integers(0, 9))
def test_integral_text_is_a_count(count: int, zeros: int) -> None:
    """The texts "12" and "12.0" are the count 12, for any number of digits."""
    assert parse_metric(CLICKS, f"{count}.{'0' * zeros}" if zeros else str(count)) == count


@pytest.mark.parametrize("kind", ["money", "count", "rate", "ratio"])
@pytest.mark.parametrize(
    "value",
    [
        "12.",
        ".5",
        "12\n",
        "1e",
        "1_000",
        "1,5",
        "NaN",
        "inf",
        "<5",
        "0x10",
        "\N{FULLWIDTH DIGIT ONE}",
        "9" * 40,
        True,
        [],
        {},
        0.1,
    ],
    ids=repr,
)
def test_invalid_number_is_null_and_kept(kind: str, value: object) -> None:
    """A value that is not a number within range is null, and the original is kept."""
    metric = next(metric for metric in METRICS if metric.kind == kind)
    if value == "9" * 40 and kind in {"rate", "ratio"}:
        assert parse_metric_with_original(metric, value) == (1e40, None)
    else:
        assert parse_metric_with_original(metric, value) == (None, value)


def test_fraction_or_negative_number_is_not_a_count() -> None:
    """A count with a fraction or below zero is null, and the original is kept."""
    for value in ("12.5", "0.0000001", "-3", "-3.0"):
        assert parse_metric_with_original(CLICKS, value) == (None, value)
    assert parse_metric_with_original(CLICKS, Decimal("12.5")) == (None, 12.5)


@pytest.mark.parametrize("text", ["1.5E+2", "1.5e2", "15E1", "150.0e0", "+150", " 150"])
@pytest.mark.parametrize("kind", ["money", "count", "rate", "ratio"])
def test_scientific_notation_is_parsed(kind: str, text: str) -> None:
    """A number in scientific notation is parsed in amounts, counts, rates and ratios."""
    metric = next(metric for metric in METRICS if metric.kind == kind)
    assert parse_metric_with_original(metric, text) == (150, None)


@pytest.mark.parametrize(
    ("sent", "amount"),
    [("0.30000000000000004", "0.3"), ("19.999999999999996", "20"), ("0.1000499999999999", "0.1"), ("1E+2", "100")],
)
def test_binary_float_noise_is_rounded(sent: str, amount: str) -> None:
    """A budget with binary float noise is the intended amount, as text or number; a real decimal is kept."""
    for value in (sent, Decimal(sent)):
        frame = build_entity_frame(CAMPAIGNS, [{"advertiser_id": "1", "budget": value}], NOW, unknown_fields=set())
        assert frame.get_column("budget").item() == Decimal(amount)
        kept = original_in_extra(frame, "budget")
        assert (str(kept) if kept is not None else None) == ("0.1000499999999999" if "499" in sent else None)


@each_metric
def test_dash_empty_text_and_null_are_null(metric: Metric) -> None:
    """A missing value of any metric is null, never zero."""
    assert [parse_metric(metric, value) for value in ("-", "", None)] == [None, None, None]


def test_missing_metric_is_null() -> None:
    """A metric that a row does not contain is null."""
    assert parse_report_page(AD_DAILY, (SPEND,), [report_row(AD_DAILY)], unknown_fields=set())[
        "spend"
    ].to_list() == [None]


def test_rates_and_ratios_are_unchanged() -> None:
    """A rate of "1.12" percent is stored as 1.12."""
    assert (parse_metric(CTR, "1.12"), parse_metric(FREQUENCY, "2.5")) == (1.12, 2.5)


@given(ids)
def test_numeric_id_keeps_all_digits(number: int) -> None:
    """An id of 19 digits is the same text, whether it was sent as text or as a number."""
    for sent in (number, str(number)):
        row = report_row(AD_DAILY, campaign_id=sent)
        row["dimensions"]["ad_id"] = sent
        page = parse_report_page(AD_DAILY, (), [row], unknown_fields=set())
        assert page.select("ad_id", "campaign_id").row(0) == (str(number), str(number))
        assert parse_field(ADVERTISERS, "owner_bc_id", sent) == str(number)


def assert_field_is_kept(entity: Entity, name: str, value: Any) -> None:  # noqa: ANN401
    """Assert that a malformed field is null, and its original kept under the API's name."""
    unknown: set[str] = set()
    frame = build_entity_frame(entity, [{"advertiser_id": "1", name: value}], NOW, unknown_fields=unknown)
    column = next(column for column in entity.columns if column.api_name == name)
    assert frame.get_column(column.name).item() is None
    text = frame.get_column("extra").item()
    assert json.loads(text, parse_float=Decimal, parse_int=Decimal) == json.loads(
        encode_json({MALFORMED: {name: value}}), parse_float=Decimal, parse_int=Decimal
    )
    assert count_malformed_values(frame) == 1
    assert unknown == set()


@pytest.mark.parametrize("value", [7.104142337395130e18, True, ["1"], {"id": "1"}], ids=repr)
def test_invalid_id_is_null_and_kept(value: object) -> None:
    """An id that is neither text nor an integer is null, and the original is kept."""
    page = parse_report_page(AD_DAILY, (), [report_row(AD_DAILY, campaign_id=value)], unknown_fields=set())
    assert (page.get_column("campaign_id").item(), original_in_extra(page, "campaign_id")) == (None, value)
    assert_field_is_kept(ADVERTISERS, "owner_bc_id", value)


@pytest.mark.slow
@given(unknown_fields, unknown_fields)
def test_unknown_report_field_is_kept_in_extra(dimensions: dict[str, Any], metrics: dict[str, Any]) -> None:
    """A field of a report without a declared column is kept as JSON, and its name is returned."""
    row = report_row(AD_DAILY, spend="1")
    row["dimensions"] |= dimensions
    row["metrics"] |= metrics
    unknown = {"before"}
    extra = parse_report_page(AD_DAILY, (SPEND,), [row], unknown_fields=unknown)["extra"].item()
    both = {**dimensions, **metrics}
    assert (json.loads(extra) if extra is not None else {}) == both
    assert unknown == {"before", *both}


@given(st.lists(unknown_fields, max_size=4))
def test_unknown_entity_field_is_kept_in_extra(fields: list[dict[str, Any]]) -> None:
    """A field of an entity without a declared column is kept as JSON, and its name is returned."""
    unknown: set[str] = set()
    rows = [{"advertiser_id": "1", "ad_id": str(n), **more} for n, more in enumerate(fields)]
    extra = build_entity_frame(ADS, rows, NOW, unknown_fields=unknown)["extra"].to_list()
    assert [json.loads(one) if one is not None else {} for one in extra] == fields
    assert unknown == {name for more in fields for name in more}


def test_numbers_in_extra_keep_their_digits() -> None:
    """A number with a fraction is written to `extra` with all its digits."""
    row = {"advertiser_id": "1", "not_declared": Decimal("0.10000000000000000001")}
    frame = build_entity_frame(CAMPAIGNS, [row], NOW, unknown_fields=set())
    assert frame["extra"].item() == '{"not_declared":0.10000000000000000001}'


@given(st.one_of(money, st.integers(-(10**14) + 1, 10**14 - 1)))
def test_entity_money_is_exact(amount: Decimal | int) -> None:
    """A budget is the amount of the JSON, as a number or as text."""
    assert parse_field(CAMPAIGNS, "budget", amount) == amount
    assert (
        parse_field(CAMPAIGNS, "budget", f"{amount:f}" if isinstance(amount, Decimal) else str(amount)) == amount
    )


@given(st.lists(money | st.none(), max_size=9))
def test_amounts_of_different_scale_in_one_column(amounts: list[Decimal | None]) -> None:
    """An amount does not change with the other amounts of its column."""
    rows = [{"advertiser_id": "1", "budget": amount and amount.normalize()} for amount in amounts]
    assert build_entity_frame(CAMPAIGNS, rows, NOW, unknown_fields=set())["budget"].to_list() == amounts


WRONG_VALUES: list[tuple[Entity, str, list[object]]] = [
    (CAMPAIGNS, "budget", [0.1, True, "x", "1_0", "1e30", [], {}, 10**14, 10**30, Decimal("1E+30")]),
    (CAMPAIGNS, "roas_bid", ["x", "nan", "inf", "1e999", True, []]),
    (CAMPAIGNS, "create_time", ["2026-03-01", "2026-02-30 00:00:00", 5, []]),
    (CAMPAIGNS, "budget_optimize_on", ["true", 2, [], {}]),
    (CAMPAIGNS, "campaign_name", [[], {}, True]),
    (ADVERTISERS, "create_time", ["x", 1.5, Decimal("1.5"), True, 10**18, 10**30, Decimal("1E+999999999"), []]),
]
WRONG_FIELDS = [(entity, name, wrong) for entity, name, values in WRONG_VALUES for wrong in values]


@pytest.mark.parametrize(("entity", "name", "value"), WRONG_FIELDS, ids=repr)
def test_malformed_entity_field_is_null_and_kept(entity: Entity, name: str, value: object) -> None:
    """A value of the wrong kind is null, and the original is kept; it is never an error or a guess."""
    assert_field_is_kept(entity, name, value)


@each_entity
def test_dash_and_null_are_null_in_typed_fields(entity: Entity) -> None:
    """A dash and null are null, except in free text and lists, where a dash can be a name."""
    for column in entity.columns:
        assert parse_field(entity, column.api_name, None) is None
        expected = {"text": "-", "json": None}.get(column.kind)
        assert parse_field(entity, column.api_name, "-") == expected or column.api_name == "advertiser_id"


@given(st.datetimes(EARLIEST, LATEST).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)))
def test_instants_are_utc(instant: datetime) -> None:
    """Datetimes without a zone are UTC; an account's creation time is in seconds since 1970."""
    assert parse_field(ADS, "create_time", f"{instant:%Y-%m-%d %H:%M:%S}") == instant
    for sent in (int(instant.timestamp()), str(int(instant.timestamp()))):
        assert parse_field(ADVERTISERS, "create_time", sent) == instant


def test_lists_are_json() -> None:
    """A list of ids is stored as JSON."""
    assert parse_field(AD_GROUPS, "location_ids", ["6252001", "1"]) == '["6252001","1"]'
    assert parse_field(AD_GROUPS, "location_ids", []) == "[]"


@each_entity
def test_entity_frame_has_the_declared_schema(entity: Entity) -> None:
    """An entity frame has the declared schema, with and without rows."""
    declared = build_schema(entity_columns(entity))
    for rows in ([], [{"advertiser_id": "1"}]):
        frame = build_entity_frame(entity, rows, NOW, unknown_fields=set())
        assert frame.schema == declared
        assert frame["fetched_at"].to_list() == [NOW] * len(rows)


@each_report
def test_report_frame_has_the_declared_schema(report: Report) -> None:
    """A report frame has the declared schema, also without pages or with an empty one."""
    day = None if report.time_dimension else date(2026, 3, 1)
    empty = parse_report_page(report, STANDARD_METRICS, [], unknown_fields=set(), day=day)
    rows = [report_row(report, spend="1.5")]
    full = parse_report_page(report, STANDARD_METRICS, rows, unknown_fields=set(), day=day)
    for pages, height in (([], 0), ([empty], 0), ([empty, full], 1)):
        frame = build_report_frame(report, STANDARD_METRICS, BERLIN, pages, NOW)
        assert frame.schema == report_schema(report, STANDARD_METRICS)
        assert frame.height == height
    assert frame.select("advertiser_id", "currency", "spend", "fetched_at").row(0) == (
        BERLIN.advertiser_id,
        "EUR",
        Decimal("1.5"),
        NOW,
    )


@pytest.mark.parametrize(
    ("text", "hour"), [("2026-03-01 00:00:00", 0), ("2026-03-01 09:00:00", 9), ("2026-03-01 23:00:00", 23)]
)
def test_hour_is_split_into_day_and_number(text: str, hour: int) -> None:
    """The text of an hour becomes the account's day and a number from 0 to 23."""
    page = parse_report_page(
        AD_HOURLY, (SPEND,), [report_row(AD_HOURLY, day=text, spend="1")], unknown_fields=set()
    )
    assert page.select("date", "hour").row(0) == (date(2026, 3, 1), hour)


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01 24:00:00", "2026-03-01 09:30:00", "09:00:00"])
def test_invalid_hour_makes_its_row_faulty(text: str) -> None:
    """A text that is not a whole hour of an existing day makes only its own row faulty."""
    rows = [report_row(AD_HOURLY, day="2026-03-01 09:00:00"), report_row(AD_HOURLY, day=text)]
    page = parse_report_page(AD_HOURLY, (), rows, unknown_fields=set(), day=date(2026, 3, 1))
    (valid,), faults = split_faulty_rows([page])
    assert valid.select("date", "hour").rows() == [(date(2026, 3, 1), 9)]
    assert [reason for _, reason in faults] == [f"stat_time_hour is '{text}', which is not a valid hour"]


def test_every_kind_has_a_type() -> None:
    """In every table ids are text, money is exact, days are dates and instants are UTC."""
    columns = [c for report in REPORTS for c in report_columns(report, METRICS)]
    columns += [column for entity in ENTITIES for column in entity_columns(entity)]
    assert {column.kind for column in columns} == POLARS_TYPES.keys()
    assert POLARS_TYPES["id"] == pl.String
    assert POLARS_TYPES["money"] == pl.Decimal(18, 4)
    assert POLARS_TYPES["day"] == pl.Date
    assert POLARS_TYPES["instant"] == INSTANT == POLARS_TYPES["epoch"]


@given(st.lists(st.tuples(st.dates(date(2026, 1, 1), date(2026, 4, 1)), ids), unique=True, max_size=8))
def test_rows_are_sorted_and_have_completeness(keys: list[tuple[date, int]]) -> None:
    """Pages in any order give the same table, and each row has the completeness of its day."""
    pages = [
        parse_report_page(AD_DAILY, (), [report_row(AD_DAILY, day=str(day), key=str(ad))], unknown_fields=set())
        for day, ad in keys
    ]
    frame = build_report_frame(AD_DAILY, (), BERLIN, pages, NOW)
    assert frame.select("date", "ad_id").rows() == sorted((day, str(ad)) for day, ad in keys)
    for day, complete, settled in frame.select("date", "is_complete", "is_settled").iter_rows():
        assert (complete, settled) == (is_complete(day, BERLIN, NOW), is_settled(day, BERLIN, NOW))
    assert frame.equals(build_report_frame(AD_DAILY, (), BERLIN, pages[::-1], NOW))


@pytest.mark.parametrize(
    "day", ["2026-02-30", "2026-13-01", "2026-03-01 10:00:00", "01.03.2026", "0000-01-01", "today", 20260301]
)
def test_invalid_day_is_the_requested_one(day: str) -> None:
    """A row without a readable day gets the requested day; if several were requested, only this row is faulty."""
    rows = [report_row(AD_DAILY), report_row(AD_DAILY, key="2", day=day)]
    page = parse_report_page(AD_DAILY, (), rows, unknown_fields=set(), day=date(2026, 3, 1))
    assert page.get_column("date").to_list() == [date(2026, 3, 1)] * 2
    assert original_in_extra(page, "stat_time_day") == day
    (valid,), faults = split_faulty_rows([parse_report_page(AD_DAILY, (), rows, unknown_fields=set())])
    assert valid.get_column("ad_id").to_list() == ["1"]
    assert [found for found, _ in faults] == [None]
    assert "stat_time_day is" in faults[0][1]


def test_unreadable_spend_makes_its_row_faulty() -> None:
    """A spend that is invalid or missing is not stored as null; its row has the reason."""
    rows = [report_row(AD_DAILY, key=str(n), spend=value) for n, value in enumerate(("-", None, "1", "much"))]
    rows.append(report_row(AD_DAILY, key="9"))
    page = parse_report_page(AD_DAILY, (SPEND,), rows, unknown_fields=set(), requested_metrics=["spend"])
    (valid,), faults = split_faulty_rows([page])
    assert valid.get_column("spend").to_list() == [None, None, Decimal(1)]
    day = date(2026, 3, 1)
    assert faults == [
        (day, "spend is 'much', which is not a valid amount"),
        (day, "a row has no spend, although it was requested"),
    ]


numbers = st.sampled_from(["-", "", "0", "12", "12.0", "12.5", "-3", "1.5000", "0.12345", "9" * 15, "x"])


@given(
    rows=st.lists(st.tuples(ids, st.text(), numbers, numbers, numbers, numbers), min_size=1, max_size=3),
    day=st.dates(date(2026, 1, 1), date(2026, 4, 1)) | st.just("2026-02-30"),
)
def test_fast_page_equals_the_page_parsed_row_by_row(rows: list[tuple[Any, ...]], day: date | str) -> None:
    """The fast parser returns the same columns and keys as the slow one, or None for unusual rows."""
    metrics = (SPEND, CPC, CLICKS, CTR)
    names = [metric.api_name for metric in metrics]
    attributes = dict.fromkeys(AD_DAILY.level.attributes, "7")
    sent = [
        report_row(AD_DAILY, key=str(key), day=f"{day} 00:00:00", **attributes | {"ad_name": name}, **values)
        for key, name, *texts in rows
        if (values := dict(zip(names, texts, strict=True)))
    ]
    expected = parse_report_page(AD_DAILY, metrics, sent, unknown_fields=set(), requested_metrics=names)
    try:
        found = parse_report_page_fast(AD_DAILY, metrics, names, [json.dumps(row).encode() for row in sent])
    except ValueFormatError:
        found = None
    is_unusual = FAULT_COLUMN in expected.columns or expected.get_column("extra").count()
    assert bool(found) == (not is_unusual)
    if not found:
        return
    assert found[0].equals(expected)
    assert found[1] == ["\0".join(row["dimensions"][name] for name in AD_DAILY.dimensions) for row in sent]


@pytest.mark.parametrize("value", ["12.5", "12 %", "about a dozen", ""])
def test_undocumented_metric_is_stored_as_text(value: str) -> None:
    """An undocumented metric is a text column, and no value of it is malformed."""
    metrics = select_metrics("mood_of_the_viewer")
    names = [metric.api_name for metric in metrics]
    row = report_row(
        AD_DAILY, **dict.fromkeys(AD_DAILY.level.attributes, "7"), spend="1.5", mood_of_the_viewer=value
    )
    found = parse_report_page_fast(AD_DAILY, metrics, names, [json.dumps(row).encode()])
    assert found
    assert found[0].get_column("mood_of_the_viewer").to_list() == [value]
    assert found[0].equals(
        parse_report_page(AD_DAILY, metrics, [row], unknown_fields=set(), requested_metrics=names)
    )
    assert found[0].get_column("extra").null_count() == 1


def test_row_without_its_key_is_faulty() -> None:
    """A row without its ad or its day is not stored, and has the reason."""
    for lost in ("ad_id", "stat_time_day"):
        row = report_row(AD_DAILY)
        del row["dimensions"][lost]
        page = parse_report_page(AD_DAILY, (), [row], unknown_fields=set())
        (valid,), ((_, reason),) = split_faulty_rows([page])
        assert (valid.height, reason) == (0, f"a row has no {lost}")


def test_row_of_another_account_is_rejected() -> None:
    """A row of another account is never stored in an account's table."""
    row = report_row(ADVERTISER_DAILY)
    row["dimensions"]["advertiser_id"] = "7"
    page = parse_report_page(ADVERTISER_DAILY, (), [row], unknown_fields=set())
    with pytest.raises(
        ValueFormatError, match=f"^the response for account {BERLIN.advertiser_id} has a row of another account$"
    ):
        build_report_frame(ADVERTISER_DAILY, (), BERLIN, [page], NOW)


def test_lifetime_tables_have_no_day_or_completeness() -> None:
    """A lifetime table has no column that depends on a day."""
    names = report_schema(AD_LIFETIME, STANDARD_METRICS).names()
    assert not {"date", "is_complete", "is_settled"} & set(names)


def test_adgroup_is_ad_group_in_every_table() -> None:
    """No column is named with the API's spelling `adgroup`."""
    schemas = [report_schema(report, METRICS) for report in REPORTS]
    schemas += [build_schema(entity_columns(entity)) for entity in ENTITIES]
    assert [name for schema in schemas for name in schema.names() if "adgroup" in name] == []


def test_misleading_api_name_is_renamed() -> None:
    """`total_complete_payment_rate` is an amount, and its column is named as one."""
    metric = METRIC_OF["total_complete_payment_rate"]
    page = parse_report_page(
        AD_DAILY, (metric,), [report_row(AD_DAILY, total_complete_payment_rate="19.99")], unknown_fields=set()
    )
    assert page["total_complete_payment_value"].item() == Decimal("19.99")
    assert is_complete(date(2026, 3, 1), BERLIN, NOW + timedelta(1))
