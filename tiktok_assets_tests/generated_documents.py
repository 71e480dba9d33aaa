"""Generate documents from the program: the data dictionary, the error codes, and all other generated pages."""

from collections.abc import Iterator, Mapping, Sequence

from tiktok_assets.api.errors import (
    ERROR_BY_CONSEQUENCE,
    FIXES,
    ContractError,
    OversizedError,
    SlowResponseError,
    UnreadableRowError,
)
from tiktok_assets.api.paged_query import MAX_ROWS
from tiktok_assets.api.retry import RetryPolicy
from tiktok_assets.api.transport import MAX_RESPONSE_BYTES
from tiktok_assets.defs.metadata import build_column_schema
from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_descriptions, get_table_keys
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.error_codes import CONSEQUENCE_HANDLING, ERROR_CODE_NOTES, ERROR_CODES
from tiktok_assets.spec.gmv_max import GMV_MAX_REPORTS
from tiktok_assets.spec.metric_catalog import AUDIENCE_METRICS, METRICS, Metric
from tiktok_assets.spec.metric_selection import (
    METRICS_BY_API_NAME,
    METRICS_BY_NAME,
    STANDARD_METRICS,
    documented_metrics,
)
from tiktok_assets.spec.reports import BREAKDOWNS, OPTIONAL_REPORTS, REPORTS_BY_TABLE, served_metrics
from tiktok_assets.storage.duckdb_warehouse import build_views
from tiktok_assets.tables.value_parser import MALFORMED, UNKNOWN_SEGMENT
from tiktok_assets_tests.api_sources import render_sources_page
from tiktok_assets_tests.benchmarks import page
from tiktok_assets_tests.copied_fields_page import copied_fields_page
from tiktok_assets_tests.generated_reference import automation_page, commands_page, settings_page
from tiktok_assets_tests.markdown import WRITTEN_BY, table
from tiktok_assets_tests.operations_page import operations_page

UNITS = {
    "money": "account's currency",
    "rate": "percent",
    "day": "account's day",
    "hour": "0 to 23",
    "instant": "UTC",
    "epoch": "UTC",
}

INTRODUCTION = """
Every table, as Parquet files below `TIKTOK_DATA_DIR` and in `warehouse.duckdb`. API name: TikTok's name; empty for
columns of this project. Additive: whether a metric can be summed over days, ads and levels; amounts in different
currencies can never be summed.

- **Days** are the account's own calendar days. `is_complete`: the data was read after the day's end, after the 16
  hours that reach takes, and after TikTok's correction at 12:00 UTC. `is_settled`: the data was read more than 28
  days after the day, when no conversion can be added.
- **Hours** (`hour`) are in the account's time zone, 0 to 23. On the day the clock goes back, the repeated hour is
  one row with both hours; on the day it goes forward, the skipped hour has no row. TikTok does not document
  this; if it returned two rows for that hour, the refresh of the day would fail with an error. The reach of an
  hour is of that hour only.
- **Audiences** have no rows where TikTok leaves them out: countries, provinces, markets (DMA) and interests do not
  sum to the total. Reach is available by country only, and of app, website and shop metrics only landing pages.
  Interests and device brands cannot be requested by day, so their tables need one request per account and day. So
  do tables by hour; other reports request thirty days at once. Provinces, markets and device brands are TikTok's
  ids; its lists of their names are not read.
- **TopView and Promote.** TikTok's lists contain these campaigns only if a filter requests them. From the
  second refresh on, two requests per account find out whether it has any; if so, they are in the tables of
  campaigns, ad groups and ads (for Promote TikTok returns little more than names and status). TikTok leaves both
  out of reports, so their spend is in no table.
- **GMV Max.** Campaigns of GMV Max (TikTok Shop) and their spend are in `gmv_max_report_daily` and in no other
  report or list. Amounts are in the account's currency; `cost` is what other reports call `spend`, and `net_cost`
  excludes credits and coupons. It is up to 11 hours late, as is the cost of products and posts. Orders and revenue
  include organic ones.
- **Smart+.** In an upgraded Smart+ campaign TikTok's `ad_id` is a creative, and `ad_id_v2` is the ad that contains
  several creatives. All ad reports are requested by `ad_id` and never by `ad_id_v2`, so that spend is counted once
  and the rows of a campaign sum to it. The table `ads` has the same `ad_id`s with their parents; its `ad_id_v2`
  groups them into ads.
- **Optional** reports are selected with `TIKTOK_REPORTS=+name`, optional metrics with `TIKTOK_METRICS=+name`, up
  to 95 metrics in total.
""".strip()


def data_dictionary() -> str:
    """Return the page of all tables, views and metrics, with all options enabled."""
    tables_on_request = [report.table for report in OPTIONAL_REPORTS]
    tables_on_request += [report.table for report in GMV_MAX_REPORTS if not report.is_standard]
    optional = ",".join(f"+{table}" for table in tables_on_request)
    settings = load_settings(reports=optional, metrics="", scaling_mode="execute")
    tables, meanings, keys = (
        get_stored_tables(settings),
        get_table_descriptions(settings),
        get_table_keys(settings),
    )
    lines = [WRITTEN_BY, "# Data dictionary", "", INTRODUCTION, "", "## Tables", ""]
    lines += [f"- [`{name}`](#{name}): {meanings[name]}" for name in tables]
    for name, columns in tables.items():
        lines += ["", f"### {name}", "", *_table(name, columns, meanings, keys)]
    lines += [
        "",
        "## Metrics",
        "",
        "Every report has the standard metrics, as far as TikTok serves them there.",
        "",
    ]
    lines += table(
        ("column", "API name", "type", "unit", "additive", "standard", "meaning"),
        (_metric(metric) for metric in METRICS),
    )
    lines += [
        "",
        "Other metrics that TikTok documents, by kind; they are not summed and not requested for audiences.",
        "",
    ]
    for kind in ("money", "count", "rate", "ratio"):
        names = [f"`{name}`" for name, metric in documented_metrics().items() if metric.kind == kind]
        lines.append(f"- {kind}: {', '.join(names)}")
    lines += [
        "",
        "## Views of the warehouse",
        "",
        "Schemas `marts`, `dbt_tiktok_ads` and `ad_reporting`; `built_from.files` lists the loaded Parquet files.",
    ]
    for view in build_views(tables):
        lines += ["", f"### {view.full_name}", "", view.meaning, ""]
        own = [one for one in view.columns if one.name not in METRICS_BY_NAME]
        lines += table(("column", "meaning"), ((f"`{one.name}`", one.meaning) for one in own))
        if measured := [f"`{one.name}`" for one in view.columns if one.name in METRICS_BY_NAME]:
            lines += ["", f"Metrics: {', '.join(measured)}."]
    return "\n".join(lines) + "\n"


def _table(
    name: str, columns: Sequence[Column], meanings: Mapping[str, str], keys: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    report = REPORTS_BY_TABLE.get(name)
    yield meanings[name]
    yield ""
    if name in keys:
        yield f"Key: {', '.join(f'`{key}`' for key in keys[name])}."
    if report:
        left = [one.name for one in STANDARD_METRICS if one not in served_metrics(report, STANDARD_METRICS)]
        yield (
            "In addition to these columns it has the selected [metrics](#metrics)"
            + (
                f", except {', '.join(f'`{one}`' for one in left)}, which TikTok does not serve here."
                if left
                else "."
            )
            + ("" if report.is_standard else f" Optional: `TIKTOK_REPORTS=+{name}`.")
        )
    yield ""
    shown = [column for column in columns if not (report and column.api_name in METRICS_BY_API_NAME)]
    types = {column.name: column.type for column in build_column_schema(shown).columns}
    yield from table(
        ("column", "API name", "type", "unit", "additive", "meaning"),
        (
            (
                f"`{column.name}`",
                f"`{column.api_name}`" if column.api_name else "",
                types[column.name],
                UNITS.get(column.kind, ""),
                _additive(column),
                column.meaning,
            )
            for column in shown
        ),
    )


def _additive(column: Column) -> str:
    metric = METRICS_BY_NAME.get(column.name)
    return ("yes" if metric.is_additive else "no") if metric else ""


def _in_audiences(name: str) -> str:
    served = [split.name.replace("_", " and ") for split in BREAKDOWNS if name in split.metrics]
    if name in AUDIENCE_METRICS:
        return ""
    return f" (in audience reports only by {' and '.join(served)})" if served else " (not in audience reports)"


def _metric(metric: Metric) -> tuple[str, ...]:
    (column,) = build_column_schema([Column(metric.name, metric.api_name, metric.kind, metric.meaning)]).columns
    quotient = metric.quotient
    recomputed = ""
    if quotient:
        top, bottom = (METRICS_BY_API_NAME[name].name for name in (quotient.numerator, quotient.denominator))
        times = f"{quotient.factor} x " if quotient.factor != 1 else ""
        recomputed = f" (= {times}`{top}` / `{bottom}`)"
    where = "" if metric.served == "everywhere" else " (only in `advertiser_report_daily`)"
    people = _in_audiences(metric.api_name)
    return (
        f"`{metric.name}`",
        f"`{metric.api_name}`",
        column.type,
        UNITS.get(metric.kind, ""),
        "yes" if metric.is_additive else "no",
        "yes" if metric.is_standard else "",
        f"{metric.meaning}{recomputed}{where}{people}",
    )


def error_codes() -> str:
    """Return the page of all error codes, with what the program does and what a person can do."""
    lines = [
        WRITTEN_BY,
        "# Error codes of the API",
        "",
        "TikTok returns HTTP 200 with a `code`; 0 is success. The consequence of a code is what happens next.",
        "An unlisted code is a `request`, which is not retried, except for 51000 to 53999, which are `retry`.",
        "",
        "## Consequences",
        "",
        *table(
            ("consequence", "what the program does", "what you can do"),
            (
                (f"`{name}`", does, FIXES[ERROR_BY_CONSEQUENCE[name]])
                for name, does in CONSEQUENCE_HANDLING.items()
            ),
        ),
        "",
        "## Limits of responses",
        "",
        (
            f"A response can have {MAX_RESPONSE_BYTES // 1024 // 1024} MB, uncompressed, and take"
            f" {RetryPolicy().response_timeout_seconds:.0f} seconds from the request to its last byte; a list can"
            f" announce {MAX_ROWS:,} rows. Neither error is retried immediately."
        ),
        "",
        *table(
            ("error", "what happened", "what you can do"),
            (
                (
                    f"`{OversizedError.__name__}`",
                    "the response is larger; the rest of it was not read",
                    FIXES[OversizedError],
                ),
                (
                    f"`{SlowResponseError.__name__}`",
                    "the response was not complete in time",
                    FIXES[SlowResponseError],
                ),
            ),
        ),
        "",
        "## Malformed values",
        "",
        (
            "A value that does not fit its column does not fail the row: the cell is null, or the nearest value if"
            " that is unambiguous, and the row is stored. The original value is in the row's `extra`, under"
            f" `{MALFORMED}`, by the API's name. The materialization counts such values under the same name, and"
            " the check `values_fit` shows five of them with their ids."
        ),
        "",
        *table(
            ("value of the API", "what is stored"),
            (
                ("a lone surrogate, bytes that are not UTF-8", "U+FFFD in its place"),
                ("an amount within 1e-9 of four decimals", "the amount with four decimals"),
                ("an amount with a fifth decimal", "rounded half to even, with the original in `extra`"),
                ("`1.5E+2`", "150"),
                ("a count below zero or with a fraction, NaN, a number too large, another type", "null"),
                (
                    "an audience segment that is null, empty, `-1`, `None` or `NONE`",
                    f"`{UNKNOWN_SEGMENT}`; such rows are summed",
                ),
                ("an invalid day", "the requested day; the window is halved until it is one day"),
                ("two identical rows", "one row"),
            ),
        ),
        "",
        "Only the following errors fail a partition, only their own one, and without retries:",
        "",
        *table(
            ("error", "what happened", "what you can do"),
            (
                (
                    f"`{UnreadableRowError.__name__}`",
                    "a row has no key, belongs to another account or day, or has no readable spend",
                    FIXES[UnreadableRowError],
                ),
                (
                    "`RepeatedKeyError`",
                    "two rows of one day have the same key and different values",
                    FIXES[ContractError],
                ),
            ),
        ),
        "",
        "## Codes",
        "",
        *table(
            ("code", "name", "consequence", "what to do"),
            (
                (
                    str(code),
                    f"`{row.name}`",
                    f"`{row.consequence}`",
                    ERROR_CODE_NOTES.get(code, FIXES[ERROR_BY_CONSEQUENCE[row.consequence]]),
                )
                for code, row in sorted(ERROR_CODES.items())
            ),
        ),
    ]
    return "\n".join(lines) + "\n"


DOCUMENTS = {
    "docs/data_dictionary.md": data_dictionary,
    "docs/errors.md": error_codes,
    "docs/settings.md": settings_page,
    "docs/commands.md": commands_page,
    "docs/automation.md": automation_page,
    "docs/benchmarks.md": page.rendered,
    "docs/contact.md": render_sources_page,
    "docs/operations.md": operations_page,
    "docs/copied_fields.md": copied_fields_page,
}
"""The function that generates each document, by its path in the repository."""
