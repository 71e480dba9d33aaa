"""How much there is to read, by the API's own totals and without reading it."""

from datetime import date

from tiktok_assets.api.errors import RequestError, TruncatedError
from tiktok_assets.api.plan import Window
from tiktok_assets.days import Account
from tiktok_assets.refresh.parts import count_in_parts
from tiktok_assets.refresh.questions import entity_listing
from tiktok_assets.refresh.reading import Reader, ReportQuestion, ad_groups_of_cut, listing_of
from tiktok_assets.spec.entities import Entity
from tiktok_assets.spec.reports import Report, served_metrics


def count_entities(reader: Reader, entity: Entity, advertiser_id: str) -> int:
    """How many objects an entity has, deleted ones included.

    Raises:
        TikTokError: whatever the request raised.
    """
    return reader.fetcher.count(entity_listing(entity, advertiser_id, {}, reader.now))


def count_report(reader: Reader, report: Report, account: Account, day: date | None) -> int:
    """How many rows a report has on one day, or over the whole life.

    Raises:
        TikTokError: whatever a request raised, but for what `read_reports` finds a way around as well.
    """
    question = ReportQuestion(report, account, Window(day, day) if day else None)
    served = served_metrics(report, reader.metrics)
    while True:
        asked = reader.lessons.asked(report.table, served)
        try:
            return reader.fetcher.count(listing_of(reader, question, asked, {}))
        except TruncatedError as error:
            return count_in_parts(
                reader.fetcher,
                ad_groups_of_cut(reader, question, {}, error),
                lambda ids: listing_of(reader, question, asked, {"adgroup_ids": list(ids)}),  # noqa: B023 - called at once
            )
        except RequestError as error:
            if not reader.lessons.learned(report.table, question.window, asked, error):
                raise
