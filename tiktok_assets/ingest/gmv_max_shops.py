"""Find out once a week which TikTok Shops an account can run GMV Max for, and what it spent if that is refused.

Nothing that a refresh reads anyway shows GMV Max: its campaigns and their spend are in none of the other lists and
reports. So the list of shops is requested for each account once a week, for the first time by the second refresh.
An account without a shop therefore costs one request a week, and none in its first and largest refresh.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.api import (
    AdvertiserError,
    ContractError,
    DateWindow,
    NotOfferedError,
    Parameter,
    RequestError,
    RequestStats,
    TikTokError,
    decode_rows,
)
from tiktok_assets.ingest.partitions import (
    FailedPartitions,
    ReadStats,
    WrittenPartition,
    fetched_at_metadata,
    parse_fetched_at,
)
from tiktok_assets.ingest.reader import Reader
from tiktok_assets.settings import Settings
from tiktok_assets.spec import GMV_MAX_SHOPS, REPORT, Column
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import (
    Account,
    build_entity_frame,
    build_schema,
    count_malformed_values,
    entity_columns,
    find_key_error,
    parse_cell,
)

SHOP_LIST_INTERVAL = timedelta(days=7) - timedelta(hours=2)
"""With a refresh a day, every seventh one; two hours less, because a refresh does not read an account at the same
minute every day."""

SPEND_DAYS = 30
"""How many days the spend is given for, if the tables do not hold it."""

UNREAD_KEY = "gmv_max_unread"
"""Of the shops of an account: why the reports of GMV Max are not read and what it spent, as JSON; absent if they
are read or there is nothing to read."""

_SPEND = Column("spend", "spend", "money", "spend")


@dataclass(frozen=True, slots=True)
class UnreadGmvMax:
    """Why the tables do not hold the GMV Max spend of an account. The attribute names are stored in the metadata.

    Attributes:
        is_refused: whether TikTok refused the list of shops; False if the settings leave out the report.
        spend: what GMV Max spent on the days; None if that is unknown.
        currency: the currency of `spend`.
        first: the first day (ISO 8601).
        last: the last day (ISO 8601).
    """

    is_refused: bool
    spend: Decimal | None
    currency: str
    first: str
    last: str

    def to_metadata(self) -> dict[str, str]:
        """Return the metadata entry."""
        values = {name: getattr(self, name) for name in self.__slots__}
        spend = None if self.spend is None else str(self.spend)
        return {UNREAD_KEY: json.dumps(values | {"spend": spend}, separators=(",", ":"))}


def load_unread_gmv_max(store: HiveStore, advertiser_id: str) -> UnreadGmvMax | None:
    """Return why the tables do not hold the GMV Max spend of an account; None if it is not known to have any."""
    text = (store.read_metadata(GMV_MAX_SHOPS.table, Partition(advertiser_id)) or {}).get(UNREAD_KEY)
    if text is None:
        return None
    values: dict[str, Any] = json.loads(text)
    spend = None if values["spend"] is None else Decimal(values["spend"])
    return UnreadGmvMax(**values | {"spend": spend})


def _is_shop_list_due(
    store: HiveStore, advertiser_id: str, report_tables: Iterable[str] | None, now: datetime
) -> bool:
    """Return whether the shops of an account should be requested.

    Args:
        store: the stored tables.
        advertiser_id: the account.
        report_tables: the reports; until one of them was stored, the first refresh is in progress and the shops
            are not requested. None to request them all the same.
        now: the current time, aware.
    """
    read_at = parse_fetched_at(store.read_metadata(GMV_MAX_SHOPS.table, Partition(advertiser_id)))
    if read_at is not None:
        return now - read_at >= SHOP_LIST_INTERVAL
    if report_tables is None:
        return True
    return any(True for table in report_tables for _ in store.partitions(table, [advertiser_id]))


def select_accounts_without_shops(
    store: HiveStore,
    settings: Settings,
    advertiser_ids: Iterable[str],
    now: datetime,
    *,
    is_only_table: bool,
    is_first_refresh_over: bool = False,
) -> list[str]:
    """Return the accounts whose shops are unknown or were requested a week ago.

    Args:
        store: the stored tables.
        settings: the settings, which choose the reports.
        advertiser_ids: the accounts.
        now: the current time, aware.
        is_only_table: whether the shops are the only selected table; then those of all accounts are requested.
        is_first_refresh_over: whether to include accounts of which nothing was stored yet.
    """
    tables = None if is_first_refresh_over else [report.table for report in settings.chosen_reports]
    return [one for one in advertiser_ids if is_only_table or _is_shop_list_due(store, one, tables, now)]


def load_shop_ids(store: HiveStore, advertiser_id: str) -> list[str]:
    """Return the shops whose GMV Max campaigns can be campaigns of this account, sorted.

    Reports are for available shops (page run_a_gmv_max_campaign_report). One account at a time is authorized to
    run GMV Max for a shop, so the other accounts with access to it have nothing to read (page
    get_tiktok_shops_for_gmv_max_campaigns, `exclusive_authorized_advertiser_info`).
    """
    try:
        file = store.scan_partition(GMV_MAX_SHOPS.table, Partition(advertiser_id))
        return [] if file is None else select_authorized_shops(file.collect(), advertiser_id)
    except (OSError, PolarsError):
        return []  # a file that cannot be read has no age, so the next refresh requests the shops again


def select_authorized_shops(shops: pl.DataFrame, advertiser_id: str) -> list[str]:
    """Return the shops, of rows of `gmv_max_shops`, that this account may run GMV Max for."""
    found = []
    for row in shops.to_dicts():
        info = json.loads(row["exclusive_authorized_advertiser_info"] or "{}")
        authorized = str(info.get("advertiser_id") or "") if isinstance(info, dict) else ""
        if row["is_gmv_max_available"] and authorized in {"", advertiser_id}:
            found.append(str(row["store_id"]))
    return sorted(found)


def read_shops(reader: Reader, advertiser_id: str) -> tuple[pl.DataFrame, ReadStats]:
    """Read the shops of an account.

    Raises:
        TikTokError: if they cannot be read.
    """
    stats = RequestStats()
    response = reader.fetcher.get(GMV_MAX_SHOPS.endpoint, {"advertiser_id": advertiser_id}, stats)
    rows = response.data.get("store_list")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ContractError("store_list is not a list of objects", endpoint=GMV_MAX_SHOPS.endpoint.path)
    own = [{**row, "advertiser_id": advertiser_id} for row in rows]
    frame = build_entity_frame(GMV_MAX_SHOPS, own, response.read_at, unknown_fields=stats.unknown_fields)
    if fault := find_key_error(frame, ["store_id"], advertiser_id):
        raise ContractError(fault, endpoint=GMV_MAX_SHOPS.endpoint.path)
    return frame.sort("store_id"), ReadStats.from_request_stats(stats, 0.0)


def read_gmv_max_spend(reader: Reader, account: Account, last: date, *, is_refused: bool) -> UnreadGmvMax:
    """Read what GMV Max spent in the last days, with the permission for reports only; unknown if that is refused.

    Source: mengxingxinqing/tiktok_ads, gmv_max_ads_reports and supported_dimensions: report type TT_SHOP, without
    filters. "Created from TikTok Shop" on that page leaves open whether campaigns of Ads Manager are included.

    Args:
        reader: the connection and its state.
        account: the account.
        last: the last day.
        is_refused: whether the list of shops was refused.

    Raises:
        TikTokError: if the request fails for another reason.
    """
    window = DateWindow(last - timedelta(SPEND_DAYS - 1), last)
    parameters: dict[str, Parameter] = {
        "advertiser_id": account.advertiser_id,
        "report_type": "TT_SHOP",
        "data_level": "AUCTION_ADVERTISER",
        "dimensions": ["advertiser_id"],
        "metrics": ["spend"],
        "start_date": window.first.isoformat(),
        "end_date": window.last.isoformat(),
        "page": "1",
        "page_size": "1",
    }
    spend: Decimal | None = None
    try:
        rows = decode_rows(reader.fetcher.get(REPORT, parameters, RequestStats()).data.get("list"))
        spend = _parse_spend(rows)
    except (AdvertiserError, RequestError):
        pass
    return UnreadGmvMax(
        is_refused=is_refused,
        spend=spend,
        currency=account.currency,
        first=window.first.isoformat(),
        last=window.last.isoformat(),
    )


def _parse_spend(rows: object) -> Decimal | None:
    """Return the spend of the only row, 0 without a row, None if it cannot be read."""
    if rows == []:
        return Decimal(0)
    row = rows[0] if isinstance(rows, list) else None
    metrics = row.get("metrics") if isinstance(row, dict) else None
    value, _ = parse_cell(_SPEND, metrics.get("spend") if isinstance(metrics, dict) else None)
    return value if isinstance(value, Decimal) else None


def is_permission_missing(error: TikTokError) -> bool:
    """Return whether an account that can be read otherwise refuses an endpoint because a permission is missing."""
    return isinstance(error, AdvertiserError) or error.code in _SCOPE_CODES


_SCOPE_CODES = frozenset({40130, 40131})
"""Codes of a missing scope that mean the same for every account (API notes 3.2)."""


def refresh_gmv_max_shops(
    reader: Reader, store: HiveStore, accounts: Sequence[Account], *, is_report_chosen: bool
) -> Iterator[WrittenPartition | FailedPartitions]:
    """Replace the shops of each account, and store what GMV Max spent if its report cannot or should not be read.

    A refusal keeps the shops that were known. A host without the endpoint has no shops.

    Args:
        reader: the connection and its state.
        store: the stored tables.
        accounts: the accounts.
        is_report_chosen: whether the settings choose the report of the campaigns.
    """
    table = GMV_MAX_SHOPS.table
    schema = build_schema(entity_columns(GMV_MAX_SHOPS))
    for account in accounts:
        partition = Partition(account.advertiser_id)
        stats = ReadStats(1, 0, 0, 0.0, 0.0, None, ())
        is_refused = False
        try:
            try:
                frame, stats = read_shops(reader, account.advertiser_id)
            except TikTokError as error:
                if isinstance(error, NotOfferedError):
                    frame = schema.to_frame()
                elif is_permission_missing(error):
                    is_refused = True
                    stored = [partition] if store.scan_partition(table, partition) is not None else []
                    frame = store.read(table, schema, stored).collect()
                else:
                    raise
            now = reader.now()
            metadata = fetched_at_metadata(now)
            is_unread = not is_report_chosen and bool(select_authorized_shops(frame, account.advertiser_id))
            if is_refused or is_unread:
                yesterday = account.today(now) - timedelta(1)
                unread = read_gmv_max_spend(reader, account, yesterday, is_refused=is_refused)
                metadata |= {} if unread.spend == 0 else unread.to_metadata()
        except TikTokError as error:
            yield FailedPartitions(table, (partition,), error)
            continue
        file = store.write(table, partition, frame, metadata=metadata)
        yield WrittenPartition(
            table, partition, file.rows, file.bytes, now, stats, malformed_values=count_malformed_values(frame)
        )
