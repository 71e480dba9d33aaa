"""Merge the parts of a report, which are requested separately and stored in one table."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date

import polars as pl

from tiktok_assets.api import DateWindow, TikTokError, split_into_windows
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.report_responses import ReportRequest, ReportResponse

Outcome = tuple[ReportRequest, ReportResponse | TikTokError]


def split_into_parts(request: ReportRequest) -> list[ReportRequest]:
    """Return the requests of the parts of a report."""
    return [replace(request, report=report) for report in request.report.queries]


def merge_parts(request: ReportRequest, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
    """Yield one outcome for all parts of a report; a day is stored only if every part of it was read.

    Args:
        request: the request of the whole report.
        outcomes: the outcomes of its parts, each for some of the days.
    """
    responses, errors = list[ReportResponse](), list[tuple[ReportRequest, TikTokError]]()
    for part, outcome in outcomes:
        if isinstance(outcome, TikTokError):
            errors.append((part, outcome))
        else:
            responses.append(outcome)
    if request.window is None:
        yield request, errors[0][1] if errors else _merge_responses(responses, None)
        return
    failed: set[date] = set()
    for part, error in errors:
        days = [day for day in (part.window or request.window).days if day not in failed]
        failed.update(days)
        for window in split_into_windows(days, request.report.window_days):
            yield replace(request, window=window), error
    read = [day for day in request.window.days if day not in failed]
    for window in split_into_windows(read, request.report.window_days):
        yield replace(request, window=window), _merge_responses(responses, window)


def _merge_responses(responses: list[ReportResponse], window: DateWindow | None) -> ReportResponse:
    """Merge the rows of all parts on these days; each day carries the cost of all their requests."""
    frames = [one.frame for one in responses]
    if window:
        frames = [one.filter(pl.col("date").is_between(window.first, window.last)) for one in frames]
    key = [name for name in ("date", "smart_plus_ad_id") if name in frames[0].columns]
    stats = [one.stats for one in responses]
    total = ReadStats(
        sum(one.requests for one in stats),
        sum(one.pages for one in stats),
        sum(one.retries for one in stats),
        round(sum(one.seconds for one in stats), 3),
        round(sum(one.megabytes for one in stats), 3),
        window,
        tuple(sorted({name for one in stats for name in one.unknown_fields})),
        tuple(sorted({name for one in stats for name in one.refused_metrics})),
    )
    # The file of a day is a slice of the rows, so they are sorted by day; sorting keeps the order of the parts.
    merged = pl.concat(frames).sort(key, maintain_order=True)
    return ReportResponse(merged, min(one.fetched_at for one in responses), total)
