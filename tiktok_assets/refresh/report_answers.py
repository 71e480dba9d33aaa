"""What a report is asked and what becomes of its answer: rows to store, and days that cannot be."""

from dataclasses import dataclass, replace
from datetime import date, datetime

import polars as pl

from tiktok_assets.api.errors import (
    ContractError,
    UnreadableRowError,
)
from tiktok_assets.api.fetch import Fetched
from tiktok_assets.api.plan import Window, windows_of
from tiktok_assets.days import Account, ValueFormatError
from tiktok_assets.refresh.outcome import Story
from tiktok_assets.refresh.reader import Reader
from tiktok_assets.refusals import why_broken
from tiktok_assets.row_checks import without_faulty
from tiktok_assets.spec.endpoints import REPORT
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import Report, served_metrics
from tiktok_assets.tables import report_frame


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """One report of one account over one window; a lifetime report has none."""

    report: Report
    account: Account
    window: Window | None = None

    def halves(self) -> "list[ReportQuestion]":
        """The same about the halves of its days; none for a single day and for a lifetime."""
        halves = self.window.halves() if self.window else None
        return [replace(self, window=half) for half in halves or ()]


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """The rows of a question, when they were read and what that cost."""

    frame: pl.DataFrame
    fetched_at: datetime
    story: Story


def answers_of(
    reader: Reader, question: ReportQuestion, fetched: Fetched[pl.DataFrame], asked: tuple[Metric, ...]
) -> list[tuple[ReportQuestion, ReportAnswer | ContractError]] | None:
    """What becomes of a window: its rows, or its days that can be stored and those that cannot.

    None where it cannot be told which day a row that cannot be stored is of, and fewer days at a time tell it.
    """
    fetched_at, pages = fetched.read_at, [*fetched.pages]
    fetched.pages.clear()  # else whoever still holds the listing holds its rows beside the table made of them
    window = question.window

    def broken(why: str, kind: type[ContractError] = UnreadableRowError) -> ContractError:
        return kind(why, endpoint=REPORT.path, request_id=fetched.request_id)

    try:
        pages, faults = without_faulty(pages)
        frame = report_frame(question.report, reader.metrics, question.account, pages, fetched_at)
    except ValueFormatError as error:
        return [(question, broken(str(error), ContractError))]
    if window:
        strangers = frame.filter(~pl.col("date").is_in(list(window.days))).get_column("date").to_list()
        faults += [(None, f"a row of {day} came, of days outside {window}") for day in strangers[:1]]
    why_by_day = _faulty_days(faults, question)
    if None in why_by_day and question.halves():
        return None
    if why_by_day and not question.halves():
        return [(question, broken(next(iter(why_by_day.values()))))]
    if broken_rows := why_broken(
        frame.filter(~pl.col("date").is_in([day for day in why_by_day if day])) if why_by_day else frame,
        question.report.key,
        question.account.advertiser_id,
    ):
        return [(question, broken(broken_rows))]
    withdrawn = tuple(m.name for m in served_metrics(question.report, reader.metrics) if m not in asked)
    if not why_by_day or not window:
        story = Story.of(fetched.tally, fetched.seconds, window, withdrawn)
        return [(question, ReportAnswer(frame, fetched_at, story))]
    answers: list[tuple[ReportQuestion, ReportAnswer | ContractError]] = [
        (replace(question, window=Window(day, day)), broken(why)) for day, why in why_by_day.items() if day
    ]
    for part in windows_of(day for day in window.days if day not in why_by_day):
        rows = frame.filter(pl.col("date").is_between(part.first, part.last))
        story = Story.of(fetched.tally, fetched.seconds, part, withdrawn)
        answers.append((replace(question, window=part), ReportAnswer(rows, fetched_at, story)))
    return answers


def _faulty_days(faults: list[tuple[date | None, str]], question: ReportQuestion) -> dict[date | None, str]:
    """Why each day cannot be stored; a day outside the window is as good as none."""
    days = question.window.days if question.window else ()
    whys: dict[date | None, str] = {}
    for day, why in faults:
        whys.setdefault(day if day in days else None, why)
    return whys
