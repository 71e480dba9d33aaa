"""The registry of all checks: name, description, severity, tables and function of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from tiktok_assets.api import DateWindow
from tiktok_assets.ingest import find_unreported_spend
from tiktok_assets.quality import (
    coverage,
    creatives,
    filled_columns,
    reconciliation,
    row_checks,
    smart_plus_levels,
)
from tiktok_assets.quality.checked_table import CheckedTable
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_reader import CheckContext, TableReader
from tiktok_assets.spec import CAMPAIGNS, GMV_MAX_SHOPS

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: the name in Dagster.
        description: what is true if the check passes, and what to do if it fails.
        severity: "error" if figures are wrong, "warning" if they should be reviewed.
        applies_to: returns whether the check applies to a table.
        evaluate: evaluates the check for one account of a table; outcomes of several accounts are added.
        evaluate_table: evaluates the check for a whole table instead.
    """

    name: str
    description: str
    severity: Severity
    applies_to: Callable[[CheckedTable], bool]
    evaluate: Callable[[TableReader], CheckOutcome] = lambda _: CheckOutcome()
    evaluate_table: Callable[[CheckContext, CheckedTable], CheckOutcome] | None = None


def _check_known_parents(reader: TableReader) -> CheckOutcome:
    owner, context = reader.advertiser_id or "", reader.context
    parents = reader.table.parent_tables.items()
    return row_checks.check_known_parents(
        reader.frame, {column: context.load_known_ids(table, column, owner) for column, table in parents}
    )


def _check_missing_days(reader: TableReader) -> CheckOutcome:
    account, context = reader.account, reader.context
    if account is None:
        return CheckOutcome()
    return coverage.check_missing_days(account, reader.stored_days, context.start, context.now)


def _check_complete_yesterday(reader: TableReader) -> CheckOutcome:
    account, context = reader.account, reader.context
    if account is None:
        return CheckOutcome()
    return coverage.check_complete_yesterday(account, reader.stored_day_details, context.start, context.now)


def _compare_levels(reader: TableReader) -> CheckOutcome:
    table = reader.table
    upper_reader = reader.for_table(str(table.upper_table))
    shared = set(reader.readable_partitions) & set(upper_reader.readable_partitions)
    lower, upper = (
        one.read_rows(one.table, [partition for partition in one.readable_partitions if partition in shared])
        for one in (reader, upper_reader)
    )
    if "date" in table.key:
        lower, upper = reconciliation.keep_complete_days(lower, upper)
    by = ["advertiser_id", *(["date"] if "date" in table.key else [])]
    lower, upper = reconciliation.drop_mixed_currency_groups(lower, upper, by)
    metrics = [metric for metric in table.metrics if metric in upper_reader.table.metrics]
    names = (_level_name(table), _level_name(upper_reader.table))
    return reconciliation.compare_levels(lower, upper, metrics, reader.context.tolerance, names)


def _level_name(table: CheckedTable) -> str:
    return table.report.level.name if table.report else table.table


def _compare_lifetime_with_days(reader: TableReader) -> CheckOutcome:
    account, context, owner = reader.account, reader.context, reader.advertiser_id
    if account is None:
        return CheckOutcome()
    created = context.advertisers.filter(pl.col("advertiser_id") == owner).get_column("create_time")
    first = reconciliation.find_first_day(created.first(), account) if created.len() else None  # type: ignore[arg-type]
    daily = reader.for_table(str(reader.table.daily_table))
    days = daily.stored_days
    if first is None or not days or days[0] > first:
        stored = f"the stored days begin on {days[0]}" if days else "no day is stored"
        began = f"the account was created on {first}" if first else "the creation date of the account is unknown"
        return CheckOutcome(notes=(f"{owner} was not checked: {stored}, {began}",))
    window = DateWindow(days[0], days[-1])
    if len(window.days) != len(days):
        return CheckOutcome(notes=(f"{owner} was not checked: days are missing between the stored ones",))
    return reconciliation.compare_lifetime_with_days(
        reader.frame, daily.read_rows(daily.table, daily.partitions), window, account, context.tolerance
    )


def _check_unreported_spend(reader: TableReader, *, is_gmv_max: bool) -> CheckOutcome:
    found = find_unreported_spend(reader.context.store, reader.advertiser_id or "")
    return CheckOutcome.from_faults(
        {"advertiser_id": one.advertiser_id, "amount": one.amount, "why": one.text, "fix": one.fix}
        for one in found
        if one.is_gmv_max == is_gmv_max
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "accounts_tell_zone_and_currency",
        "Every active account has a time zone and a currency. If the host does not return them, set them in"
        " TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY: the reports of the account fail until then.",
        "error",
        lambda table: table.table == "advertisers",
        lambda reader: reader.context.accounts[1],
    ),
    Check(
        "declared_schema",
        "Every file has its columns in their declared types. A file that does not was written by another program:"
        " refresh the partition.",
        "error",
        lambda _: True,
        lambda reader: row_checks.check_declared_schema(reader.schemas, reader.table.schema, reader.table.key),
    ),
    Check(
        "keys_name_rows",
        "Every row has a complete key and no two rows have the same key, so nothing is counted twice. If not,"
        " refresh the listed partitions.",
        "error",
        lambda table: bool(table.key),
        lambda reader: row_checks.check_unique_keys(reader.frame, reader.table.key),
    ),
    Check(
        "no_negative_spend",
        "No spend is negative. Negative spend is stored as TikTok returned it; ask TikTok whether it is a credit.",
        "error",
        lambda table: bool(table.spend_columns),
        lambda reader: row_checks.check_negative_spend(reader.frame, reader.table.spend_columns, reader.table.key),
    ),
    Check(
        "known_values",
        "Statuses, objectives, budget modes and similar columns have documented values only. A new value is stored"
        " as it is; filters that list values do not include it yet.",
        "warning",
        lambda table: bool(table.enumerations),
        lambda reader: row_checks.check_known_values(reader.frame, reader.table.enumerations),
    ),
    Check(
        "values_fit",
        "Every value fitted the type of its column. A value that did not is null or rounded, and the original is"
        " in `extra` under `malformed_values`: compare it in Ads Manager, and report it to TikTok if it persists.",
        "warning",
        lambda table: table.is_from_api and "extra" in table.column_names,
        lambda reader: row_checks.check_malformed_values(reader.frame, reader.table.key),
    ),
    Check(
        "known_fields",
        "The API sent only documented fields. A new field is stored in `extra`; a row in `spec/entities.py` makes"
        " it a column.",
        "warning",
        lambda table: table.is_from_api and "extra" in table.column_names,
        lambda reader: row_checks.check_known_fields(reader.frame, reader.table.documented_fields),
    ),
    Check(
        "known_parents",
        "Every campaign, ad group and ad that a row references is in its table, deleted ones included. An object"
        " created between two reads is known after the next refresh.",
        "warning",
        lambda table: table.is_from_api and bool(table.parent_tables),
        _check_known_parents,
    ),
    Check(
        "levels_agree",
        "The totals agree with the level above within TIKTOK_RECONCILIATION_TOLERANCE: spend on each complete day,"
        " every additive metric over all of them. A lower total below can be correct, since some delivery exists"
        " only above the ad; a higher one is always an error. For account totals, use the advertiser level.",
        "warning",
        lambda table: table.upper_table is not None,
        _compare_levels,
    ),
    Check(
        "smart_plus_levels_agree",
        "Upgraded Smart+ ads are the sums of their creatives and of their main materials, their ad groups the sums"
        " of the ads, and their campaigns those of the ad groups: every additive metric of a complete day to the"
        " cent, lifetimes within TIKTOK_RECONCILIATION_TOLERANCE because they grow between two reads. The gaps are"
        " in the figures; read the listed days again if they were restated in between.",
        "warning",
        lambda table: table.report is not None and table.report.level.name == "smart_plus_ad",
        smart_plus_levels.compare_smart_plus_levels,
    ),
    Check(
        "life_is_its_days",
        "The lifetime spend is the sum of the stored days, if these include the account's first day; spend of"
        " today and of days after the last stored one is allowed for. A gap means that days were restated after"
        " they were last read: raise TIKTOK_LOOKBACK_DAYS or read them again.",
        "warning",
        lambda table: table.daily_table is not None,
        _compare_lifetime_with_days,
    ),
    Check(
        "gmv_max_spend_is_read",
        "What GMV Max (TikTok Shop) spends is in the tables. If not, the token lacks the permission, or"
        " TIKTOK_REPORTS leaves out `gmv_max_report_daily`: the fault says which, and how much the account spent.",
        "warning",
        lambda table: table.table == GMV_MAX_SHOPS.table,
        lambda reader: _check_unreported_spend(reader, is_gmv_max=True),
    ),
    Check(
        "campaigns_are_in_reports",
        "The reports have the spend of every campaign. TikTok leaves campaigns of TopView and Promote out of them:"
        " look up their spend in Ads Manager.",
        "warning",
        lambda table: table.table == CAMPAIGNS.table,
        lambda reader: _check_unreported_spend(reader, is_gmv_max=False),
    ),
    Check(
        "creative_fatigue",
        "No creative that spends has a hook rate or click rate far below that of its own best seven days. Each has"
        " an alert of its own, so no other is sent for this check. Replace the creative, or raise"
        " TIKTOK_FATIGUE_DROP.",
        "warning",
        lambda table: table.table == "creatives",
        creatives.check_fatigue,
    ),
    Check(
        "no_row_drop",
        "The newest day has at least half the rows of a usual day of the account. Fewer rows are correct if"
        " campaigns were paused or ended.",
        "warning",
        lambda table: table.is_daily_report,
        lambda reader: coverage.check_row_drop(str(reader.advertiser_id), reader.rows_by_ended_day),
    ),
    Check(
        "complete_yesterday",
        "Every active account was read within a day and has its yesterday, and each day that was complete by then"
        " was read complete. If not, look at the last runs of `daily_refresh`, or run `sync`.",
        "warning",
        lambda table: table.is_daily_report,
        _check_complete_yesterday,
    ),
    Check(
        "no_holes",
        "Every day between the first and the last stored one is stored for every active account; days since"
        " TIKTOK_START_DATE that were never read are noted. `backfill_history` reads the listed windows.",
        "warning",
        lambda table: table.is_daily_report,
        _check_missing_days,
    ),
    Check(
        "columns_are_filled",
        "Every stored day was read with every column that the report has now; in a day that was read before a"
        " metric was selected, its column is null. `sync --missing-columns` and `backfill_history` with"
        " `missing_columns: true` read such days again, `plan --missing-columns` says what that takes.",
        "warning",
        lambda table: table.is_daily_report,
        evaluate_table=filled_columns.check_filled_columns,
    ),
)


def select_checks(table: CheckedTable) -> tuple[Check, ...]:
    """Return the checks that apply to a table, in order."""
    return tuple(check for check in CHECKS if check.applies_to(table))


@dataclass(slots=True)
class CheckResults:
    """The outcomes of a table's checks by name, and the numbers of rows and partitions that were checked."""

    outcomes: dict[str, CheckOutcome]
    rows: int = 0
    partitions: int = 0


def evaluate_checks(context: CheckContext, table: str, checks: Mapping[str, Check]) -> CheckResults:
    """Evaluate checks for every account of a table, with one account in memory at a time.

    Args:
        context: the stored tables.
        table: the table to check.
        checks: the checks to evaluate, by name.
    """
    results = CheckResults(
        {
            name: check.evaluate_table(context, context.tables[table]) if check.evaluate_table else CheckOutcome()
            for name, check in checks.items()
        }
    )
    for reader in context.read_table(table):
        for name, check in checks.items():
            results.outcomes[name] += check.evaluate(reader)
        results.rows += reader.frame.height
        results.partitions += len(reader.recent_partitions)
    return results
