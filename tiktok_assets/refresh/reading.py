"""From rows of `spec` to questions to the API, and from its answers to frames."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

import polars as pl

from tiktok_assets.api.client import Tally
from tiktok_assets.api.errors import AdvertiserError, ContractError, CredentialsError, TikTokError, TruncatedError
from tiktok_assets.api.fetch import Fetched, Fetcher
from tiktok_assets.api.pages import Listing
from tiktok_assets.api.plan import Window, batches_of, windows_of
from tiktok_assets.days import Account, ValueFormatError
from tiktok_assets.refresh.belonging import belonging
from tiktok_assets.refresh.lessons import Lessons
from tiktok_assets.refresh.outcome import Story
from tiktok_assets.refresh.parts import read_in_parts
from tiktok_assets.refresh.questions import entity_listing, report_listing
from tiktok_assets.refusals import why_broken
from tiktok_assets.spec.endpoints import ADVERTISER_INFO, ADVERTISER_LIST, REPORT
from tiktok_assets.spec.entities import AD_GROUPS, ADVERTISERS, Entity
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import Report, served_metrics
from tiktok_assets.tables import entity_frame, report_frame
from tiktok_assets.values import advertiser_identifier


@dataclass(frozen=True, slots=True)
class Reader:
    """What it takes to read: the connection, the clock and the metrics.

    Attributes:
        fetcher: an open one.
        now: the aware instant by the host's clock.
        metrics: those every report asks for.
        lessons: what its reports were refused so far.
    """

    fetcher: Fetcher
    now: Callable[[], datetime]
    metrics: tuple[Metric, ...]
    lessons: Lessons = field(default_factory=Lessons)


@dataclass(frozen=True, slots=True)
class AccountsRead:
    """The accounts that answered, as rows of `advertisers`, and the errors of those that did not.

    `lost` are accounts known from before that nobody asked for, because they are granted no longer.
    """

    frame: pl.DataFrame
    refused: dict[str, AdvertiserError]
    lost: dict[str, str]
    story: Story
    fetched_at: datetime


def listed_advertisers(reader: Reader, app_id: str | None, app_secret: str | None) -> list[str]:
    """The ids of all accounts granted to the app, as of now.

    The list handed out with the token is a snapshot; only this endpoint knows accounts shared later.

    Raises:
        CredentialsError: if app id or secret are missing.
        TikTokError: whatever the request raised.
    """
    if not app_id or not app_secret:
        raise CredentialsError(
            "the accounts cannot be listed: set TIKTOK_APP_ID and TIKTOK_APP_SECRET and run `tiktok-assets auth`,"
            " or name the accounts in TIKTOK_ADVERTISER_IDS"
        )
    try:
        answer = reader.fetcher.ask(ADVERTISER_LIST, {"app_id": app_id, "secret": app_secret}, Tally())
    except AdvertiserError as error:
        # No account is asked for here: 40001 then means that app, secret and token do not belong together.
        raise CredentialsError(
            f"app and token do not fit: check TIKTOK_APP_ID and TIKTOK_APP_SECRET. {error}"
        ) from error
    try:
        return [advertiser_identifier(row["advertiser_id"]) for row in answer.data["list"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ContractError(f"the list of accounts has no ids: {error}", endpoint=ADVERTISER_LIST.path) from error


def read_accounts(reader: Reader, advertiser_ids: Sequence[str]) -> AccountsRead:
    """The accounts' details, a hundred a request; one that may not be read does not hide the others.

    Raises:
        TikTokError: if the request fails for another reason than one account.
    """
    tally, refused = Tally(), dict[str, AdvertiserError]()
    began = time.monotonic()
    rows = [row for batch in batches_of(advertiser_ids) for row in _details(reader, batch, tally, refused)]
    fetched_at = reader.now()
    try:
        frame = entity_frame(ADVERTISERS, rows, fetched_at, unknown_fields=tally.unknown_fields)
    except ValueFormatError as error:
        raise ContractError(str(error), endpoint=ADVERTISER_INFO.path) from error
    if broken := why_broken(frame, ["advertiser_id"]):
        raise ContractError(broken, endpoint=ADVERTISER_INFO.path)
    answered = set(frame.get_column("advertiser_id"))
    for missing in [one for one in advertiser_ids if one not in answered and one not in refused]:
        refused[missing] = AdvertiserError("not among the answers", endpoint=ADVERTISER_INFO.path)
    return AccountsRead(
        frame.sort("advertiser_id"),
        refused,
        {},
        Story.of(tally, time.monotonic() - began),
        fetched_at,
    )


def _details(
    reader: Reader, batch: Sequence[str], tally: Tally, refused: dict[str, AdvertiserError]
) -> list[dict[str, Any]]:
    """The rows of a batch. One account without grant fails the whole call, so the batch is halved to find it."""
    try:
        answer = reader.fetcher.ask(ADVERTISER_INFO, {"advertiser_ids": list(batch)}, tally)
    except AdvertiserError as error:
        if len(batch) == 1:
            refused[batch[0]] = error
            return []
        middle = len(batch) // 2
        return _details(reader, batch[:middle], tally, refused) + _details(reader, batch[middle:], tally, refused)
    rows = answer.data.get("list")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ContractError(
            "list is not one of objects", endpoint=ADVERTISER_INFO.path, request_id=answer.request_id
        )
    return rows


def read_entities(
    reader: Reader,
    entity: Entity,
    advertiser_ids: Iterable[str],
    *,
    filters: Mapping[str, list[str]] | None = None,
) -> Iterator[tuple[str, tuple[pl.DataFrame, Story, datetime] | TikTokError]]:
    """Every object of an entity for each advertiser, deleted ones included, or the error that kept them away.

    Args:
        reader: what reads.
        entity: whose objects.
        advertiser_ids: the accounts, in the order they come out.
        filters: narrows by the API's filter names, such as `campaign_ids`.
    """
    ids = list(advertiser_ids)
    listings = [entity_listing(entity, advertiser_id, filters or {}, reader.now) for advertiser_id in ids]
    for advertiser_id, (_, fetched) in zip(ids, reader.fetcher.fetch_each(listings), strict=True):
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


@dataclass(frozen=True, slots=True)
class ReportQuestion:
    """One report of one account over one window; a lifetime report has none."""

    report: Report
    account: Account
    window: Window | None = None


@dataclass(frozen=True, slots=True)
class ReportAnswer:
    """The rows of a question, when they were read and what that cost."""

    frame: pl.DataFrame
    fetched_at: datetime
    story: Story


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
    that is refused is left out from then on. A report cut to its newest ads is read again by ad groups.
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
            table, fetched = question.report.table, outcome
            if isinstance(fetched, TruncatedError):
                fetched = _by_ad_groups(reader, question, asked, narrowed, fetched)
            if not isinstance(fetched, TikTokError):
                yield question, _answer(reader, question, fetched, asked)
            elif lessons.learned(table, question.window, asked, fetched):
                waiting.append(question)
            else:
                yield question, fetched


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


def _answer(
    reader: Reader, question: ReportQuestion, fetched: Fetched[pl.DataFrame], asked: tuple[Metric, ...]
) -> ReportAnswer | ContractError:
    fetched_at, pages = fetched.read_at, [*fetched.pages]
    fetched.pages.clear()  # else whoever still holds the listing holds its rows beside the table made of them
    try:
        frame = report_frame(question.report, reader.metrics, question.account, pages, fetched_at)
    except ValueFormatError as error:
        return ContractError(str(error), endpoint=REPORT.path)
    if question.window and frame.filter(~pl.col("date").is_in(list(question.window.days))).height:
        return ContractError(f"rows came of days outside {question.window}", endpoint=REPORT.path)
    if broken := why_broken(frame, question.report.key, question.account.advertiser_id):
        return ContractError(broken, endpoint=REPORT.path)
    withdrawn = tuple(m.name for m in served_metrics(question.report, reader.metrics) if m not in asked)
    story = Story.of(fetched.tally, fetched.seconds, question.window, withdrawn)
    return ReportAnswer(frame, fetched_at, story)


def listing_of(
    reader: Reader, question: ReportQuestion, asked: tuple[Metric, ...], filters: Mapping[str, list[str]]
) -> Listing[pl.DataFrame]:
    """A question in the API's words, with these metrics and narrowed by these filters."""
    listing = report_listing(
        question.report,
        question.account.advertiser_id,
        question.window,
        metrics=reader.metrics,
        asked=asked,
        filters=filters,
    )
    return belonging(listing, question.report, question.account.advertiser_id)
