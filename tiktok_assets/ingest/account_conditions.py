"""Find the accounts a table is read for, from the stored tables and without a request."""

from collections.abc import Iterable
from typing import TypeVar

import polars as pl
from polars.exceptions import PolarsError

from tiktok_assets.spec import REPORTS_BY_TABLE, AccountCondition, Entity, Report
from tiktok_assets.storage import HiveStore, Partition

Table = TypeVar("Table", Entity, Report)


def meets_condition(store: HiveStore, condition: AccountCondition | None, advertiser_id: str) -> bool:
    """Return whether an account is known to meet the condition of a table.

    Args:
        store: the stored tables.
        condition: the condition; None for a table that is read for every account.
        advertiser_id: the account.
    """
    return find_condition(store, condition, advertiser_id) is True


def find_condition(store: HiveStore, condition: AccountCondition | None, advertiser_id: str) -> bool | None:
    """Return whether an account meets the condition of a table; None if the other table cannot be read."""
    if condition is None:
        return True
    try:
        rows = store.scan_partition(condition.table, Partition(advertiser_id))
        if rows is None:
            return None
        found = rows.select((pl.col(condition.column) == condition.value).any()).collect().item()
    except (OSError, PolarsError):
        return None  # the refresh replaces the file
    return bool(found)


def select_tables(store: HiveStore, tables: Iterable[Table], advertiser_id: str) -> list[Table]:
    """Return the entities or reports that are read for an account."""
    known: dict[AccountCondition | None, bool] = {}
    selected = []
    for table in tables:
        if table.condition not in known:
            known[table.condition] = meets_condition(store, table.condition, advertiser_id)
        if known[table.condition]:
            selected.append(table)
    return selected


def select_report_tables(store: HiveStore, tables: Iterable[str], advertiser_id: str) -> list[str]:
    """Return the report tables that are read for an account, by their names; any other table is returned too."""
    names = list(tables)
    reports = [REPORTS_BY_TABLE[table] for table in names if table in REPORTS_BY_TABLE]
    read = {report.table for report in select_tables(store, reports, advertiser_id)}
    return [name for name in names if name in read or name not in REPORTS_BY_TABLE]
