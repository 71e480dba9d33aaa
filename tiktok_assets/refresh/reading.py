"""From rows of `spec` to questions to the API, and from its answers to frames."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import polars as pl

from tiktok_assets.api.client import Parameter, Tally
from tiktok_assets.api.errors import AdvertiserError, ContractError, CredentialsError, TikTokError, TooLargeError
from tiktok_assets.api.fetch import Fetched, Fetcher, Listing
from tiktok_assets.api.plan import Window, batches_of, windows_of
from tiktok_assets.days import Account, ValueFormatError
from tiktok_assets.refresh.outcome import Story
from tiktok_assets.spec.endpoints import ADVERTISER_INFO, ADVERTISER_LIST, REPORT
from tiktok_assets.spec.entities import ADVERTISERS, Entity
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import Report
from tiktok_assets.tables import entity_frame, identifier, report_frame, report_page

ReportPage = tuple[pl.DataFrame, datetime]
"""Rows, and when they were read: a question may be read long before its answer is taken."""


@dataclass(frozen=True, slots=True)
class Reader:
    """What it takes to read: the connection, the clock and the metrics.

    Attributes:
        fetcher: an open one.
        now: the aware instant by the host's clock.
        metrics: those every report asks for.
    """

    fetcher: Fetcher
    now: Callable[[], datetime]
    metrics: tuple[Metric, ...]


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
            "the accounts cannot be listed: name them in TIKTOK_ADVERTISER_IDS,"
            " or set TIKTOK_APP_ID and TIKTOK_APP_SECRET"
        )
    answer = reader.fetcher.ask(ADVERTISER_LIST, {"app_id": app_id, "secret": app_secret}, Tally())
    try:
        return [identifier(row["advertiser_id"]) for row in answer.data["list"]]
    except (KeyError, TypeError) as error:
        raise ContractError("the list of accounts has no ids", endpoint=ADVERTISER_LIST.path) from error


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
    listings = [_entity_listing(reader, entity, advertiser_id, filters or {}) for advertiser_id in ids]
    for advertiser_id, (_, fetched) in zip(ids, reader.fetcher.fetch_each(listings), strict=True):
        if isinstance(fetched, TikTokError):
            yield advertiser_id, fetched
            continue
        schema = fetched.pages[0].schema
        rows = pl.concat(fetched.pages) if fetched.rows else pl.DataFrame(schema=schema)
        if strangers := rows.filter(pl.col("advertiser_id").ne_missing(advertiser_id)).height:
            yield (
                advertiser_id,
                ContractError(f"{strangers} rows are of another account", endpoint=entity.endpoint.path),
            )
            continue
        key = [column.name for column in entity.columns if column.api_name == entity.key]
        fetched_at = rows.get_column("fetched_at").max() if fetched.rows else reader.now()
        assert isinstance(fetched_at, datetime)  # noqa: S101 - narrows polars' untyped maximum
        yield advertiser_id, (rows.sort(key), Story.of(fetched.tally, fetched.seconds), fetched_at)


def _entity_listing(
    reader: Reader, entity: Entity, advertiser_id: str, filters: Mapping[str, list[str]]
) -> Listing[pl.DataFrame]:
    def parse(rows: list[dict[str, Any]], tally: Tally) -> pl.DataFrame:
        return entity_frame(entity, rows, reader.now(), unknown_fields=tally.unknown_fields)

    return Listing(
        entity.endpoint,
        # Deleted ones are hidden unless asked for, and TikTok deletes old ads by itself.
        {"advertiser_id": advertiser_id, "filtering": {"primary_status": "STATUS_ALL", **filters}},
        identify=lambda row: str(row[entity.key]),
        parse=parse,
    )


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
    return [ReportQuestion(report, account, window) for window in windows_of(days)]


def read_reports(
    reader: Reader,
    questions: Iterable[ReportQuestion],
    *,
    filters: Mapping[str, list[str]] | None = None,
) -> Iterator[tuple[ReportQuestion, ReportAnswer | TikTokError]]:
    """Each question with its rows or its error; a window that is too large comes as its two halves instead."""
    waiting = list(questions)
    while waiting:
        halves: list[ReportQuestion] = []
        listings = [_report_listing(reader, question, filters or {}) for question in waiting]
        for question, (_, fetched) in zip(waiting, reader.fetcher.fetch_each(listings), strict=True):
            if isinstance(fetched, TooLargeError) and question.window and (two := question.window.halves()):
                halves += [ReportQuestion(question.report, question.account, half) for half in two]
                continue
            yield question, fetched if isinstance(fetched, TikTokError) else _answer(reader, question, fetched)
        waiting = halves


def _answer(
    reader: Reader, question: ReportQuestion, fetched: Fetched[ReportPage]
) -> ReportAnswer | ContractError:
    fetched_at = min(read_at for _, read_at in fetched.pages)
    pages = [page for page, _ in fetched.pages]
    try:
        frame = report_frame(question.report, reader.metrics, question.account, pages, fetched_at)
    except ValueFormatError as error:
        return ContractError(str(error), endpoint=REPORT.path)
    if question.window and frame.filter(~pl.col("date").is_in(list(question.window.days))).height:
        return ContractError(f"rows came of days outside {question.window}", endpoint=REPORT.path)
    return ReportAnswer(frame, fetched_at, Story.of(fetched.tally, fetched.seconds, question.window))


def _report_listing(
    reader: Reader, question: ReportQuestion, filters: Mapping[str, list[str]]
) -> Listing[ReportPage]:
    report, level = question.report, question.report.level
    by_day = ["stat_time_day"] if report.cadence == "daily" else []
    dimensions = [level.dimension, *by_day]
    parameters: dict[str, Parameter] = {
        "advertiser_id": question.account.advertiser_id,
        "report_type": "BASIC",
        "data_level": level.data_level,
        "dimensions": dimensions,
        # Parents and names are metrics here; as dimensions they fail (dossier 6.2).
        "metrics": [*level.attributes, *(metric.api_name for metric in reader.metrics)],
        # Pages of an unsorted report may repeat and miss rows; spend is never an attribute, so it may order.
        "order_field": "spend",
        "order_type": "DESC",
    }
    if question.window:
        parameters["start_date"] = question.window.first.isoformat()
        parameters["end_date"] = question.window.last.isoformat()
    else:
        parameters["query_lifetime"] = "true"
    # Without the status filter the deleted are left out, and their spend with them (dossier 6.4).
    status = {level.status_field: ["STATUS_ALL"]} if level.status_field else {}
    if wanted := {**status, **filters}:
        parameters["filtering"] = [
            # A filter's value is always text, a list among them: JSON inside JSON.
            {"field_name": name, "filter_type": "IN", "filter_value": json.dumps(values)}
            for name, values in wanted.items()
        ]

    def parse(rows: list[dict[str, Any]], tally: Tally) -> ReportPage:
        read_at = reader.now()
        page = report_page(report, reader.metrics, rows, unknown_fields=tally.unknown_fields)
        for metric in reader.metrics:  # what is not there would read as null, which means something else
            if not all(metric.api_name in row["metrics"] for row in rows):
                raise ValueFormatError(f"{metric.api_name} was asked for and did not come")
        return page, read_at

    return Listing(
        REPORT,
        parameters,
        identify=lambda row: tuple(row["dimensions"][dimension] for dimension in dimensions),
        parse=parse,
    )


def count_entities(reader: Reader, entity: Entity, advertiser_id: str) -> int:
    """How many objects an entity has, deleted ones included, by the API's own total."""
    return reader.fetcher.count(_entity_listing(reader, entity, advertiser_id, {}))


def count_report(reader: Reader, report: Report, account: Account, day: date | None) -> int:
    """How many rows a report has on one day, or over the whole life, by the API's own total."""
    window = Window(day, day) if day else None
    return reader.fetcher.count(_report_listing(reader, ReportQuestion(report, account, window), {}))
