"""The first questions of a refresh, sent while the rest of the program is still starting."""

from collections.abc import Iterable
from datetime import date

from tiktok_assets.api.room import LISTINGS_AHEAD
from tiktok_assets.days import Account
from tiktok_assets.refresh.reading import Reader, listing_of, report_questions
from tiktok_assets.spec.metrics import Metric
from tiktok_assets.spec.reports import Report, served_metrics


def read_ahead(reader: Reader, report: Report, advertiser_id: str, days: Iterable[date]) -> None:
    """Begin to read the first windows of a report; `read_reports` takes them over, errors and all.

    Args:
        reader: what reads, and will be asked again.
        report: which.
        advertiser_id: whose; its zone and currency are not needed to ask.
        days: those that will be asked for.
    """
    unknown = Account(advertiser_id, "", "UTC")
    asked: tuple[Metric, ...] = reader.lessons.asked(report.table, served_metrics(report, reader.metrics))
    for question in report_questions(report, unknown, days)[:LISTINGS_AHEAD]:
        reader.fetcher.ask_ahead(listing_of(reader, question, asked, {}))
