"""The documents that are written by the program: data dictionary, error codes, and the reference."""

from collections.abc import Iterator, Mapping, Sequence

from tiktok_assets.api.client import RetryPolicy
from tiktok_assets.api.errors import (
    ERROR_BY_CONSEQUENCE,
    FIXES,
    ContractError,
    OversizedError,
    SlowResponseError,
    UnreadableRowError,
)
from tiktok_assets.api.paged_query import MAX_ROWS
from tiktok_assets.api.transport import MAX_RESPONSE_BYTES
from tiktok_assets.defs.metadata import build_column_schema
from tiktok_assets.defs.table_catalog import get_stored_tables, get_table_descriptions, get_table_keys
from tiktok_assets.settings import load_settings
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.error_codes import CONSEQUENCE_HANDLING, ERROR_CODE_NOTES, ERROR_CODES
from tiktok_assets.spec.metric_catalogue import AUDIENCE_METRICS, METRICS, Metric
from tiktok_assets.spec.metrics import METRICS_BY_API_NAME, METRICS_BY_NAME, STANDARD_METRICS, documented_metrics
from tiktok_assets.spec.reports import BREAKDOWNS, OPTIONAL_REPORTS, REPORTS_BY_TABLE, served_metrics
from tiktok_assets.storage.warehouse import build_views
from tiktok_assets.tables.cells import MALFORMED, UNKNOWN_SEGMENT
from tiktok_assets_tests.api_sources import render_sources_page
from tiktok_assets_tests.benchmarks import page
from tiktok_assets_tests.generated_reference import automation_page, commands_page, settings_page
from tiktok_assets_tests.markdown import WRITTEN_BY, table

UNITS = {
    "money": "account's currency",
    "rate": "percent",
    "day": "account's day",
    "hour": "0 to 23",
    "instant": "UTC",
    "epoch": "UTC",
}

INTRODUCTION = """
Every table, as Parquet below `TIKTOK_DATA_DIR` and in `warehouse.duckdb`. API name: what TikTok calls it; empty
where it is ours. Additive: whether it may be summed over days, ads and levels; amounts of two currencies never
may.

- **Days** are the account's own calendar days. `is_complete`: read after the day's end, the 16 hours reach
  takes and the correction at 12:00 UTC. `is_settled`: read over 28 days after the day, when no conversion can
  be added.
- **Hours** (`hour`) are those of the account's clock, 0 to 23. On the day the clock goes back, the hour it
  repeats is one row that holds both; on the day it goes forward, the hour it skips has no row. TikTok's
  documents do not tell; should it send two rows for that hour, the reading fails and says so. An hour's reach
  is that hour's people.
- **Audiences** leave out what TikTok leaves out: countries and interests do not sum to the total. They serve
  people reached by country only, and nothing of an app, a website or a shop but landing pages. Interests
  cannot be asked by day, so their tables are asked one day at a time, and
  so are hours: a request for each account and day, where other reports take thirty days at once.
- **TopView and Promote.** TikTok's lists leave them out unless asked. Two requests an account and refresh
  tell whether it has any; where it has, they stand among the campaigns, ad groups and ads (of Promote TikTok
  tells little more than names and status). TikTok leaves both out of reports too, and their spend is in none.
- **Smart+.** In an upgraded Smart+ campaign TikTok's `ad_id` is a creative and `ad_id_v2` the ad that holds
  several. All ad reports are asked by `ad_id` and never by `ad_id_v2`, so each spend is counted once and the
  rows of a campaign sum to it. The table `ads` has the same `ad_id`s with their parents; its `ad_id_v2` groups
  them into ads.
- **Optional** reports are chosen with `TIKTOK_REPORTS=+name`, optional metrics with `TIKTOK_METRICS=+name`, up
  to 95 in all.
""".strip()


def data_dictionary() -> str:
    """Every table and view under all options, and every metric."""
    optional = ",".join(f"+{report.table}" for report in OPTIONAL_REPORTS)
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
    lines += ["", "## Metrics", "", "Each daily, hourly, audience and lifetime report has the standard ones.", ""]
    lines += table(
        ("column", "API name", "type", "unit", "additive", "standard", "meaning"),
        (_metric(metric) for metric in METRICS),
    )
    lines += ["", "Others TikTok documents, by their kind; none is summed, none is asked of audiences.", ""]
    for kind in ("money", "count", "rate", "ratio"):
        names = [f"`{name}`" for name, metric in documented_metrics().items() if metric.kind == kind]
        lines.append(f"- {kind}: {', '.join(names)}")
    lines += [
        "",
        "## Views of the warehouse",
        "",
        "Schemas `marts`, `dbt_tiktok_ads` and `ad_reporting`; `built_from.files` names the Parquet files.",
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
            "Beside these columns it has the chosen [metrics](#metrics)"
            + (
                f", but for {', '.join(f'`{one}`' for one in left)}, which TikTok serves elsewhere."
                if left
                else "."
            )
            + ("" if report.standard else f" Optional: `TIKTOK_REPORTS=+{name}`.")
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
    return ("yes" if metric.additive else "no") if metric else ""


def _in_audiences(name: str) -> str:
    served = [split.name.replace("_", " and ") for split in BREAKDOWNS if name in split.metrics]
    if name in AUDIENCE_METRICS:
        return ""
    return f" (of audiences, by {' and '.join(served)} only)" if served else " (not in audiences)"


def _metric(metric: Metric) -> tuple[str, ...]:
    (column,) = build_column_schema([Column(metric.name, metric.api_name, metric.kind, metric.meaning)]).columns
    quotient = metric.quotient
    recomputed = ""
    if quotient:
        top, bottom = (METRICS_BY_API_NAME[name].name for name in (quotient.top, quotient.bottom))
        times = f"{quotient.times} x " if quotient.times != 1 else ""
        recomputed = f" (= {times}`{top}` / `{bottom}`)"
    where = "" if metric.served == "everywhere" else " (only in `advertiser_report_daily`)"
    people = _in_audiences(metric.api_name)
    return (
        f"`{metric.name}`",
        f"`{metric.api_name}`",
        column.type,
        UNITS.get(metric.kind, ""),
        "yes" if metric.additive else "no",
        "yes" if metric.standard else "",
        f"{metric.meaning}{recomputed}{where}{people}",
    )


def error_codes() -> str:
    """Every code, what it asks of the program, and what a person can do."""
    lines = [
        WRITTEN_BY,
        "# Error codes of the API",
        "",
        "TikTok answers HTTP 200 with a `code`; 0 is success. The code's consequence says what happens next.",
        "A code nobody listed is a `request`: it is never repeated, but for 51000 to 53999, which are `retry`.",
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
        "## Answers without a bound",
        "",
        (
            f"An answer may be {MAX_RESPONSE_BYTES // 1024 // 1024} MB, unpacked, and take {RetryPolicy().answer_seconds:.0f}"
            f" seconds from the request to its last byte; a listing may announce {MAX_ROWS:,} rows."
            " Neither error is followed by another request at once."
        ),
        "",
        *table(
            ("error", "what happened", "what you can do"),
            (
                ("`OversizedError`", "the answer is larger; it was not read to its end", FIXES[OversizedError]),
                ("`SlowAnswerError`", "the answer began, and was not whole in time", FIXES[SlowResponseError]),
            ),
        ),
        "",
        "## Values that do not fit",
        "",
        (
            "A value that cannot be what its column is costs itself: the cell is null, or the nearest value where"
            " that is unambiguous, and the row, its page, its account and its day are stored. What came is in the"
            f" row's `extra`, under `{MALFORMED}`, by the API's name; the materialization counts such values under"
            " the same name, and the check `values_fit` shows five of them with their ids."
        ),
        "",
        *table(
            ("what comes", "what is stored"),
            (
                ("half a surrogate pair, bytes that are no UTF-8", "U+FFFD in its place"),
                ("an amount within 1e-9 of four digits", "the amount in four digits"),
                ("an amount with a real fifth digit", "rounded half to even, and what came in `extra`"),
                ("`1.5E+2`", "150"),
                ("a count below zero or with a fraction, NaN, a number too large, another type", "null"),
                (
                    "a part of an audience that is null, empty, `-1`, `None` or `NONE`",
                    f"`{UNKNOWN_SEGMENT}`, added up",
                ),
                ("a day that cannot be read", "the day asked for; windows are halved until it is one day"),
                ("a row that came twice, word for word", "once"),
            ),
        ),
        "",
        "Only this fails a partition, and no other than its own, without asking again in vain:",
        "",
        *table(
            ("error", "what happened", "what you can do"),
            (
                (
                    "`UnreadableRowError`",
                    "a row has no key, is of another account or day, or has no spend that can be read",
                    FIXES[UnreadableRowError],
                ),
                (
                    "`RepeatedKeyError`",
                    "two rows of one day have one key and say different things",
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
}
"""What writes each, by its path in the repository."""
