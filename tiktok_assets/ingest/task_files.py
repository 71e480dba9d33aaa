"""Parse the file of a report task into the rows of the report's pages, and check that it is complete.

The file has no number of rows and no checksum. So each of its windows is compared with the totals that the same
report gives in pages: the number of rows, and the sums of a few metrics.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import BinaryIO

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.api import ReportTaskError, RequestStats, Totals, TruncatedError
from tiktok_assets.ingest.queries import count_in_batches
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.ingest.report_reader import build_paged_query, list_ad_groups_of_truncated_report
from tiktok_assets.ingest.report_responses import ReportRequest
from tiktok_assets.spec import METRICS_BY_API_NAME, Column, Metric, Report
from tiktok_assets.tables import ValueFormatError, parse_cell, parse_report_cells

BLOCK_BYTES = 4 * 1024 * 1024
"""How much of a file is parsed at once."""

COMPARED_METRICS = ("spend", "clicks", "impressions")
"""The metrics whose sums are compared. The last one is the last column that is requested: a file that ends within
a number of it has another sum."""

_HALF_CENT = Decimal("0.005")
"""By how much an amount of a row may be rounded."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class TaskFile:
    """The parsed rows of a file.

    Attributes:
        rows: the rows, with the columns of a report page.
        last_column: the API's name of the last column.
        is_line_ended: whether the last line has its end.
    """

    rows: pl.DataFrame
    last_column: str
    is_line_ended: bool


def order_metrics(metrics: Sequence[Metric]) -> list[str]:
    """Return the API's names of metrics in the order to request them for a file; see `COMPARED_METRICS`."""
    names = [metric.api_name for metric in metrics]
    last = COMPARED_METRICS[-1]
    return [*(name for name in names if name != last), *([last] if last in names else [])]


def parse_task_file(
    report: Report, chosen: tuple[Metric, ...], requested: Sequence[Metric], file: BinaryIO, advertiser_id: str
) -> TaskFile:
    """Parse a file; the amounts become decimals from their text, as in pages.

    Args:
        report: the report.
        chosen: the chosen metrics; the rows have a column for each that the report serves.
        requested: the metrics that were requested.
        file: the open file.
        advertiser_id: the requested account.

    Raises:
        ReportTaskError: if it is not a file of these columns, or has a value that does not fit its column.
    """
    file.seek(0)
    header = file.readline().removeprefix(_BYTE_ORDER_MARK).decode("utf-8", errors="replace").strip()
    columns = [name.strip().strip('"') for name in header.split(",")]
    expected = {
        *report.dimensions,
        *report.level.requested_attributes,
        *(metric.api_name for metric in requested),
    }
    if set(columns) != expected or len(columns) != len(expected):
        different = sorted(set(columns) ^ expected) or columns
        raise ReportTaskError(f"the file of the report task has other columns: {', '.join(different)[:200]}")
    pages, ending = list[pl.DataFrame](), b"\n"
    for block in _split_lines(file):
        ending = block[-1:]
        try:
            cells = pl.read_csv(
                block,
                has_header=False,
                schema=dict.fromkeys(columns, pl.String()),
                empty_string_is_null=False,
            )
            page = parse_report_cells(report, chosen, cells, advertiser_id=advertiser_id)
        except (PolarsError, ValueFormatError) as error:
            raise ReportTaskError(f"the file of the report task cannot be parsed: {error}") from error
        # Of a row with too few values, the last ones are empty.
        if page is None or (cells.get_column(columns[-1]) == "").any():
            raise ReportTaskError("the file of the report task has a row without its key or without all columns")
        pages.append(page)
    empty = pl.DataFrame(schema=dict.fromkeys(columns, pl.String()))
    rows = pl.concat(pages) if pages else parse_report_cells(report, chosen, empty, advertiser_id=advertiser_id)
    assert rows is not None  # noqa: S101 - a frame without rows has no row without key
    return TaskFile(rows, columns[-1], ending == b"\n")


def _split_lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the rest of a file in blocks of whole lines; a line end within quotation marks is part of a value."""
    pending = b""
    while block := file.read(BLOCK_BYTES):
        pending += block
        end = pending.rfind(b"\n")
        while end >= 0 and pending.count(b'"', 0, end) % 2:
            end = pending.rfind(b"\n", 0, end)
        if end >= 0:
            yield pending[: end + 1]
            pending = pending[end + 1 :]
    if pending.strip():
        yield pending


def read_totals(
    reader: Reader, request: ReportRequest, requested: tuple[Metric, ...], stats: RequestStats
) -> Totals:
    """Read the number of rows of a window, and its sums where TikTok gives them.

    Raises:
        TikTokError: if the request failed.
    """
    has_sums = request.report.time_dimension == "stat_time_day"  # not by hour (API notes 6.1)
    query = build_paged_query(reader, request, requested, {})
    try:
        return reader.fetcher.read_totals(query, stats, **({"enable_total_metrics": "true"} if has_sums else {}))
    except TruncatedError as error:  # a task is not truncated, and its rows are counted by ad groups
        ids = list_ad_groups_of_truncated_report(reader, request, {}, error)
        rows = count_in_batches(
            reader.fetcher,
            ids,
            lambda some: build_paged_query(reader, request, requested, {"adgroup_ids": list(some)}),
        )
        return Totals(rows, {})


def find_difference(file: TaskFile, rows: pl.DataFrame, totals: Totals) -> str | None:
    """Return how the rows of a window differ from its totals, as one clause, or None if they are complete.

    Args:
        file: the file the rows are from.
        rows: the rows of the window.
        totals: the totals of the window in pages.
    """
    if rows.height != totals.rows:
        return f"the file of the report task has {rows.height:,} rows, and the report {totals.rows:,}"
    compared = set[str]()
    for name in COMPARED_METRICS:
        metric = METRICS_BY_API_NAME[name]
        total, _ = parse_cell(Column(metric.name, name, metric.kind, metric.meaning), totals.metrics.get(name))
        if total is None or metric.name not in rows.columns:
            continue
        compared.add(name)
        found = rows.get_column(metric.name).sum() or 0
        allowed = rows.height * _HALF_CENT if metric.kind == "money" else 0
        if abs(found - total) > allowed:
            return f"the file of the report task has {found} {name}, and the report {total}"
    if not file.is_line_ended and file.last_column not in compared:
        return "the file of the report task ends within a line"
    return None
