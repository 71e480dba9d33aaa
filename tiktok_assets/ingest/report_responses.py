"""Convert report responses into rows to store, and errors for the days that cannot be stored."""

from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from tiktok_assets.api import ContractError, DateWindow, FetchResult, UnreadableRowError, split_into_windows
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec import Metric, Report, served_metrics
from tiktok_assets.tables import Account, ValueFormatError, build_report_frame, find_key_error, split_faulty_rows


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """One report of one account over one window of days; a lifetime report has no window."""

    report: Report
    account: Account
    window: DateWindow | None = None

    def halve(self) -> "list[ReportRequest]":
        """Return the request split into halves of its days; empty for a single day or a lifetime report."""
        halves = self.window.halve() if self.window else None
        return [replace(self, window=half) for half in halves or ()]


@dataclass(frozen=True, slots=True)
class ReportResponse:
    """The rows of a report request, when they were read, and the cost of the read."""

    frame: pl.DataFrame
    fetched_at: datetime
    stats: ReadStats


def build_report_responses(
    reader: Reader, request: ReportRequest, result: FetchResult[pl.DataFrame], requested: tuple[Metric, ...]
) -> list[tuple[ReportRequest, ReportResponse | ContractError]] | None:
    """Convert the rows of a window into responses, with an error for each day that cannot be stored.

    Args:
        reader: the connection and its state.
        request: the report request.
        result: the pages that were fetched; emptied, so that they are freed with the last reference to them.
        requested: the metrics that were requested.

    Returns:
        One response or error for each part of the window. None if a row cannot be stored and its day is unknown,
        and requests for fewer days would identify the day.
    """
    fetched_at, pages = result.read_at, [*result.pages]
    result.pages.clear()  # otherwise a holder of the result keeps its rows in memory besides the frame built here
    window = request.window

    def fault(why: str, kind: type[ContractError] = UnreadableRowError) -> ContractError:
        return kind(why, endpoint=request.report.source.endpoint.path, request_id=result.request_id)

    try:
        pages, faults = split_faulty_rows(pages)
        frame = build_report_frame(request.report, reader.metrics, request.account, pages, fetched_at)
    except ValueFormatError as error:
        return [(request, fault(str(error), ContractError))]
    if window:
        other_days = frame.filter(~pl.col("date").is_in(list(window.days))).get_column("date").to_list()
        faults += [(None, f"a row is of {day}, outside the requested days {window}") for day in other_days[:1]]
    fault_by_day = _group_faults_by_day(faults, request)
    if None in fault_by_day and request.halve():
        return None
    if fault_by_day and not request.halve():
        return [(request, fault(next(iter(fault_by_day.values()))))]
    if key_fault := find_key_error(
        frame.filter(~pl.col("date").is_in([day for day in fault_by_day if day])) if fault_by_day else frame,
        request.report.key,
        request.account.advertiser_id,
    ):
        return [(request, fault(key_fault))]
    refused = tuple(m.name for m in served_metrics(request.report, reader.metrics) if m not in requested)
    if not fault_by_day or not window:
        stats = ReadStats.from_request_stats(result.stats, result.seconds, window, refused)
        return [(request, ReportResponse(frame, fetched_at, stats))]
    responses: list[tuple[ReportRequest, ReportResponse | ContractError]] = [
        (replace(request, window=DateWindow(day, day)), fault(why)) for day, why in fault_by_day.items() if day
    ]
    for part in split_into_windows(day for day in window.days if day not in fault_by_day):
        rows = frame.filter(pl.col("date").is_between(part.first, part.last))
        stats = ReadStats.from_request_stats(result.stats, result.seconds, part, refused)
        responses.append((replace(request, window=part), ReportResponse(rows, fetched_at, stats)))
    return responses


def _group_faults_by_day(faults: list[tuple[date | None, str]], request: ReportRequest) -> dict[date | None, str]:
    """Return the first fault of each day; a day outside the window counts as an unknown day (None)."""
    days = request.window.days if request.window else ()
    fault_by_day: dict[date | None, str] = {}
    for day, why in faults:
        fault_by_day.setdefault(day if day in days else None, why)
    return fault_by_day
