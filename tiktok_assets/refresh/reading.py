"""From rows of `spec` to questions to the API, and from its answers to frames."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime
from functools import partial

import polars as pl

from tiktok_assets.api.errors import (
    ContractError,
    MovingPagesError,
    RepeatedKeyError,
    RequestError,
    TikTokError,
    TruncatedError,
)
from tiktok_assets.api.fetch import Fetched
from tiktok_assets.api.pages import Listing
from tiktok_assets.api.plan import windows_of
from tiktok_assets.days import Account
from tiktok_assets.refresh.account_reading import AccountsRead, listed_advertisers, read_accounts
from tiktok_assets.refresh.hidden_kinds import fetched_entities
from tiktok_assets.refresh.metric_search import is_explained
from tiktok_assets.refresh.outcome import Story
from tiktok_assets.refresh.parts import read_in_parts
from tiktok_assets.refresh.questions import report_listing
from tiktok_assets.refresh.reader import Reader
from tiktok_assets.refresh.report_answers import ReportAnswer, ReportQuestion, answers_of
from tiktok_assets.refusals import why_broken
from tiktok_assets.spec.entities import AD_GROUPS, CAMPAIGNS, Entity
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import Report, served_metrics

__all__ = [
    "AccountsRead",
    "Reader",
    "ReportAnswer",
    "ReportQuestion",
    "ad_groups_of_cut",
    "listed_advertisers",
    "listing_of",
    "read_accounts",
    "read_entities",
    "read_reports",
    "report_questions",
]


def read_entities(
    reader: Reader,
    entity: Entity,
    advertiser_ids: Iterable[str],
    *,
    filters: Mapping[str, list[str]] | None = None,
) -> Iterator[tuple[str, tuple[pl.DataFrame, Story, datetime] | TikTokError]]:
    """Yield every object of an entity for each advertiser, deleted ones and hidden kinds included, or its error.

    Args:
        reader: what reads.
        entity: whose objects.
        advertiser_ids: the accounts, in the order they come out.
        filters: narrows by the API's filter names, such as `campaign_ids`.
    """
    for advertiser_id, fetched in fetched_entities(reader, entity, list(advertiser_ids), filters or {}):
        if isinstance(fetched, TikTokError):
            yield advertiser_id, fetched
            continue
        rows = pl.concat(fetched.pages) if fetched.rows else fetched.pages[0].clear()
        key = [column.name for column in entity.columns if column.api_name == entity.key]
        if broken := why_broken(rows, key, advertiser_id):
            yield advertiser_id, ContractError(broken, endpoint=entity.endpoint.path)
            continue
        fetched_at = rows.get_column("fetched_at").max() if fetched.rows else reader.now()
        assert isinstance(fetched_at, datetime)  # noqa: S101 - narrows polars' untyped maximum
        yield advertiser_id, (rows.sort(key), Story.of(fetched.tally, fetched.seconds), fetched_at)


def report_questions(report: Report, account: Account, days: Iterable[date]) -> list[ReportQuestion]:
    """The fewest questions that cover these days of an account, or the one of a lifetime report."""
    if report.cadence == "lifetime":
        return [ReportQuestion(report, account)]
    return [ReportQuestion(report, account, window) for window in windows_of(days, report.window_days)]


def read_reports(
    reader: Reader,
    questions: Iterable[ReportQuestion],
    *,
    filters: Mapping[str, list[str]] | None = None,
) -> Iterator[tuple[ReportQuestion, ReportAnswer | TikTokError]]:
    """Each question with its rows or its error.

    A window that is too large comes as smaller ones instead, and so do all later ones of that report. A metric
    that is refused is left out from then on. A report cut to its newest ads is read again by ad groups. A row that
    cannot be stored makes only its own day an error; where it does not say its day, halves of the window are asked
    for until the question says it.
    """
    lessons, narrowed = reader.lessons, filters or {}
    waiting, under_way = deque(questions), deque[tuple[ReportQuestion, tuple[Metric, ...]]]()

    def listings() -> Iterator[Listing[pl.DataFrame]]:
        while waiting:
            question = waiting.popleft()
            if question.window and (windows := lessons.windows(question.report.table, question.window))[1:]:
                waiting.extendleft(replace(question, window=window) for window in reversed(windows))
                continue
            asked = lessons.asked(question.report.table, served_metrics(question.report, reader.metrics))
            under_way.append((question, asked))
            yield listing_of(reader, question, asked, narrowed)

    while waiting:
        for _, outcome in reader.fetcher.fetch_each(listings()):
            question, asked = under_way.popleft()
            table, fetched = question.report.table, _mended(reader, question, asked, narrowed, outcome)
            if not isinstance(fetched, TikTokError):
                answers = answers_of(reader, question, fetched, asked)
                waiting.extend(question.halves() if answers is None else ())
                yield from answers or ()
            elif isinstance(fetched, RepeatedKeyError) and (halves := question.halves()):
                waiting.extend(halves)
            elif lessons.learned(table, question.window, asked, fetched) or is_explained(
                lessons, table, asked, fetched, partial(_is_served, reader, question, narrowed)
            ):
                waiting.append(question)
            else:
                yield question, fetched


def _is_served(
    reader: Reader, question: ReportQuestion, filters: Mapping[str, list[str]], metrics: tuple[Metric, ...]
) -> bool:
    try:
        reader.fetcher.count(listing_of(reader, question, metrics, filters))
    except RequestError:
        return False
    return True


def _mended(
    reader: Reader,
    question: ReportQuestion,
    asked: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    outcome: Fetched[pl.DataFrame] | TikTokError,
) -> Fetched[pl.DataFrame] | TikTokError:
    """Return what came, or the same read in parts where that can help."""
    if isinstance(outcome, TruncatedError):
        return _by_ad_groups(reader, question, asked, filters, outcome)
    if isinstance(outcome, MovingPagesError):
        return _in_pages_of_their_own(reader, question, asked, filters, outcome)
    return outcome


def _by_ad_groups(
    reader: Reader,
    question: ReportQuestion,
    asked: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    error: TruncatedError,
) -> Fetched[pl.DataFrame] | TikTokError:
    """The rows of each ad group together; at other levels, which hold no ads, the error stays."""
    try:
        ids = ad_groups_of_cut(reader, question, filters, error)
    except TikTokError as why:
        return why
    return read_in_parts(
        reader.fetcher,
        ids,
        lambda some: listing_of(reader, question, asked, {**filters, "adgroup_ids": list(some)}),
    )


_PARTS = {"campaign": CAMPAIGNS, "ad_group": AD_GROUPS, "ad": AD_GROUPS}
"""By level of a report: whose ids cut it into parts, each row in one of them."""


def _in_pages_of_their_own(
    reader: Reader,
    question: ReportQuestion,
    asked: tuple[Metric, ...],
    filters: Mapping[str, list[str]],
    error: MovingPagesError,
) -> Fetched[pl.DataFrame] | TikTokError:
    """Return the rows in parts of a page each, where rows of equal rank cannot move; else the error.

    An order helps only between different values: of a lifetime's ads most have spent nothing and rank alike.
    """
    entity = _PARTS.get(question.report.level.name)
    if entity is None or error.announced is None:
        return error
    parents = {name: ids for name, ids in filters.items() if name in {"campaign_ids", "adgroup_ids"}}
    ((_, read),) = read_entities(reader, entity, [question.account.advertiser_id], filters=parents)
    if isinstance(read, TikTokError):
        return read
    key = next(column.name for column in entity.columns if column.api_name == entity.key)
    whole = read_in_parts(
        reader.fetcher,
        read[0].get_column(key).to_list(),
        lambda some: listing_of(reader, question, asked, {**filters, f"{entity.key}s": list(some)}),
    )
    # A row whose parent no list tells would be missing.
    return error if isinstance(whole, Fetched) and whole.rows != error.announced else whole


def ad_groups_of_cut(
    reader: Reader, question: ReportQuestion, filters: Mapping[str, list[str]], error: TruncatedError
) -> list[str]:
    """The ad groups a cut report is read by, deleted ones too; raises the error given where it holds no ads."""
    if question.report.level.name != "ad":
        raise error
    parents = {name: ids for name, ids in filters.items() if name in {"campaign_ids", "adgroup_ids"}}
    ((_, read),) = read_entities(reader, AD_GROUPS, [question.account.advertiser_id], filters=parents)
    if isinstance(read, TikTokError):
        raise read
    return read[0].get_column("ad_group_id").to_list()


def listing_of(
    reader: Reader, question: ReportQuestion, asked: tuple[Metric, ...], filters: Mapping[str, list[str]]
) -> Listing[pl.DataFrame]:
    """A question in the API's words, with these metrics and narrowed by these filters."""
    return report_listing(
        question.report,
        question.account.advertiser_id,
        question.window,
        metrics=reader.metrics,
        asked=asked,
        filters=filters,
    )
