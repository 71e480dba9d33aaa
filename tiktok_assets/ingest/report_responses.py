"""Convert report responses into rows to store, and errors for the days that cannot be stored."""

from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from tiktok_assets.api.errors import ContractError, UnreadableRowError
from tiktok_assets.api.pagination import FetchResult
from tiktok_assets.api.request_plan import DateWindow, split_into_windows
from tiktok_assets.ingest.partitions import ReadStats
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.spec.endpoints import REPORT
from tiktok_assets.spec.metric_catalogue import Metric
from tiktok_assets.spec.reports import Report, served_metrics
from tiktok_assets.tables.account_calendar import Account, ValueFormatError
from tiktok_assets.tables.frames import build_report_frame
from tiktok_assets.tables.row_validation import find_key_error, split_faulty_rows


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """One report of one account over one window; a lifetime report has none."""

    report: Report
    account: Account
    window: DateWindow | None = None

    def halves(self) -> "list[ReportQuery]":
        """The same about the halves of its days; none for a single day and for a lifetime."""
        halves = self.window.halves() if self.window else None
        return [replace(self, window=half) for half in halves or ()]


@dataclass(frozen=True, slots=True)
class ReportResponse:
    """The rows of a question, when they were read and what that cost."""

    frame: pl.DataFrame
    fetched_at: datetime
    story: ReadStats


def build_report_responses(
    reader: Reader, question: ReportQuery, fetched: FetchResult[pl.DataFrame], asked: tuple[Metric, ...]
) -> list[tuple[ReportQuery, ReportResponse | ContractError]] | None:
    """What becomes of a window: its rows, or its days that can be stored and those that cannot.

    None where it cannot be told which day a row that cannot be stored is of, and fewer days at a time tell it.
    """
    fetched_at, pages = fetched.read_at, [*fetched.pages]
    fetched.pages.clear()  # else whoever still holds the listing holds its rows beside the table made of them
    window = question.window

    def broken(why: str, kind: type[ContractError] = UnreadableRowError) -> ContractError:
        return kind(why, endpoint=REPORT.path, request_id=fetched.request_id)

    try:
        pages, faults = split_faulty_rows(pages)
        frame = build_report_frame(question.report, reader.metrics, question.account, pages, fetched_at)
    except ValueFormatError as error:
        return [(question, broken(str(error), ContractError))]
    if window:
        strangers = frame.filter(~pl.col("date").is_in(list(window.days))).get_column("date").to_list()
        faults += [(None, f"a row of {day} came, of days outside {window}") for day in strangers[:1]]
    why_by_day = _group_faults_by_day(faults, question)
    if None in why_by_day and question.halves():
        return None
    if why_by_day and not question.halves():
        return [(question, broken(next(iter(why_by_day.values()))))]
    if broken_rows := find_key_error(
        frame.filter(~pl.col("date").is_in([day for day in why_by_day if day])) if why_by_day else frame,
        question.report.key,
        question.account.advertiser_id,
    ):
        return [(question, broken(broken_rows))]
    withdrawn = tuple(m.name for m in served_metrics(question.report, reader.metrics) if m not in asked)
    if not why_by_day or not window:
        story = ReadStats.of(fetched.tally, fetched.seconds, window, withdrawn)
        return [(question, ReportResponse(frame, fetched_at, story))]
    answers: list[tuple[ReportQuery, ReportResponse | ContractError]] = [
        (replace(question, window=DateWindow(day, day)), broken(why)) for day, why in why_by_day.items() if day
    ]
    for part in split_into_windows(day for day in window.days if day not in why_by_day):
        rows = frame.filter(pl.col("date").is_between(part.first, part.last))
        story = ReadStats.of(fetched.tally, fetched.seconds, part, withdrawn)
        answers.append((replace(question, window=part), ReportResponse(rows, fetched_at, story)))
    return answers


def _group_faults_by_day(faults: list[tuple[date | None, str]], question: ReportQuery) -> dict[date | None, str]:
    """Why each day cannot be stored; a day outside the window is as good as none."""
    days = question.window.days if question.window else ()
    whys: dict[date | None, str] = {}
    for day, why in faults:
        whys.setdefault(day if day in days else None, why)
    return whys
