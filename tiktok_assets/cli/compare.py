"""Run the `compare` command: sum two periods of stored days, and compute what changed between them.

No request is sent. Only complete days are summed; where days of a period are missing, the rows say how many.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from tiktok_assets.api import DateWindow
from tiktok_assets.cli.compare_periods import ComparedPeriods, PeriodChoice, parse_periods
from tiktok_assets.cli.errors import CommandError, UsageError
from tiktok_assets.creatives import CREATIVE_DAILY, CREATIVES, read_summed_days
from tiktok_assets.ingest import is_partition_complete
from tiktok_assets.spec import METRICS_BY_NAME
from tiktok_assets.storage import HiveStore, Partition
from tiktok_assets.tables import MONEY, sum_expressions_or_null

FIGURES = ("spend", "impressions", "clicks", "ctr", "conversion", "cpa", "value", "roas")
"""The compared figures; each has a column of its own, one with `_before` and one with `_change` in percent."""

RATES = ("ctr", "cpa", "roas")
"""Those of them that are quotients of sums: clicks / impressions, spend / conversions, value / spend."""

_VALUES = ("total_complete_payment_value", "total_onsite_shopping_value")
_SUMMED = ("spend", "impressions", "clicks", "conversion", *_VALUES)
_PERIODS = ("this", "before")
_MAX_NAMED = 3


@dataclass(frozen=True, slots=True)
class Subject:
    """What one row of a comparison is about.

    Attributes:
        tables: the daily tables that have its days; the first that is stored is read.
        days_table: the table whose days say what is complete, if it is not the one that is read.
        key: the column of its id.
        names: the columns that describe it.
        missing: how to get the tables, if none is stored.
    """

    tables: tuple[str, ...]
    key: str
    names: tuple[str, ...] = ()
    days_table: str = ""
    missing: str = "run `tiktok-assets sync` first"


_LEVELS = ("advertiser", "campaign", "ad_group", "ad")
_REPORTS = tuple(f"{level}_report_daily" for level in _LEVELS)
_COUNTRIES = tuple(f"{level}_audience_country_daily" for level in _LEVELS)

SUBJECTS: Mapping[str, Subject] = {
    "account": Subject(_REPORTS, "advertiser_id"),
    "campaign": Subject(_REPORTS[1:], "campaign_id", ("campaign_name",)),
    "adgroup": Subject(_REPORTS[2:], "ad_group_id", ("ad_group_name", "campaign_name")),
    "ad": Subject(_REPORTS[3:], "ad_id", ("ad_name", "campaign_name")),
    "creative": Subject((CREATIVE_DAILY,), "creative_id", days_table="ad_report_daily"),
    "country": Subject(
        _COUNTRIES,
        "country_code",
        missing=f"add {_COUNTRIES[0]} with `TIKTOK_REPORTS=+{_COUNTRIES[0]}`, and run `tiktok-assets sync`",
    ),
}
"""The values of --by."""


@dataclass(frozen=True, slots=True)
class AccountPeriods:
    """The two periods of an account, and their days that are not stored or not complete."""

    advertiser_id: str
    periods: ComparedPeriods
    missing: tuple[date, ...]
    missing_before: tuple[date, ...]

    @property
    def complete_days(self) -> Iterable[tuple[str, date]]:
        """The complete days with the period each belongs to."""
        lacking = (self.missing, self.missing_before)
        for period, window, missing in zip(
            _PERIODS, (self.periods.this, self.periods.before), lacking, strict=True
        ):
            yield from ((period, day) for day in window.days if day not in missing)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of a comparison.

    Attributes:
        by: the value of --by.
        rows: of each currency the rows and then its total, in which `is_total` is true.
        accounts: the periods of each account.
        notes: sentences about days that are missing, and accounts that were left out.
    """

    by: str
    rows: pl.DataFrame
    accounts: Sequence[AccountPeriods]
    notes: Sequence[str]


def compare(
    store: HiveStore,
    advertisers: Sequence[str] | None,
    *,
    by: str,
    this: str,
    against: str,
    sort: str = "spend_difference",
    limit: int | None = None,
) -> Comparison:
    """Compare two periods of the stored tables.

    Args:
        store: contains the tables.
        advertisers: the accounts; None for all.
        by: a key of `SUBJECTS`.
        this: the first period, see `compare_periods`.
        against: the second.
        sort: the column to sort by, largest first; differences of spend are sorted by their size.
        limit: how many rows of each currency are returned; its total is that of all rows.

    Raises:
        UsageError: if an option has a value that it cannot have.
        CommandError: if the tables are not stored, or have no complete day.
    """
    if by not in SUBJECTS:
        raise UsageError(f"cannot compare by {by!r}; choose one of: {', '.join(SUBJECTS)}.")
    choice = parse_periods(this, against)
    sortable = [f"{name}{end}" for name in FIGURES for end in ("", "_before", "_change")] + ["spend_difference"]
    if sort not in sortable:
        raise UsageError(f"cannot sort by {sort!r}; choose one of: {', '.join(sortable)}.")
    subject = SUBJECTS[by]
    table, stored_days = _find_table(store, subject, advertisers)
    accounts, notes = _find_periods(store, subject.days_table or table, stored_days, choice)
    rows = _read_rows(store, table, subject, accounts)
    keys = list(dict.fromkeys(["advertiser_id", subject.key]))
    compared = (
        _compare_sums(rows, keys, _count_days(accounts))
        .join(_find_names(store, by, keys, subject, rows), on=keys, how="left")
        .with_columns(is_total=pl.lit(value=False))
        .sort(
            pl.col("spend_difference").abs() if sort == "spend_difference" else sort,
            *keys,
            descending=[True, *(False for _ in keys)],
            nulls_last=True,
        )
    )
    totals = _compare_sums(rows, [], _count_days_by_currency(store, rows, accounts)).with_columns(
        is_total=pl.lit(value=True)
    )
    shown = compared if limit is None else compared.group_by("currency", maintain_order=True).head(limit)
    result = pl.concat([shown, totals], how="diagonal_relaxed").sort(
        "currency", "is_total", nulls_last=True, maintain_order=True
    )
    ordered = [*keys, *(name for name in compared.columns if name.endswith("_name")), "currency", "is_total"]
    return Comparison(
        by,
        result.select(*ordered, *(name for name in compared.columns if name not in ordered)),
        accounts,
        [*notes, *_describe_missing(accounts)],
    )


def _find_table(
    store: HiveStore, subject: Subject, advertisers: Sequence[str] | None
) -> tuple[str, Mapping[str, Sequence[date]]]:
    """Return the first stored table of a subject, and its days by account.

    Raises:
        CommandError: if none is stored, or nothing of an account.
    """
    for table in subject.tables:
        days: dict[str, list[date]] = {}
        for partition in store.partitions(table, advertisers):
            owner = partition.advertiser_id or ""
            days.setdefault(owner, []).extend([partition.day] if partition.day else [])
        if subject.days_table:
            days = {owner: sorted(read_summed_days(store, owner)) for owner in days}
        if found := {owner: known for owner, known in days.items() if known}:
            if unknown := [one for one in advertisers or () if one not in found]:
                raise CommandError(f"no day of account {unknown[0]} is stored in {table}; {subject.missing}.")
            return table, found
    of = f" of account {', '.join(advertisers)}" if advertisers else ""
    raise CommandError(f"no day{of} is stored in {subject.tables[0]}; {subject.missing}.")


def _find_periods(
    store: HiveStore, table: str, stored_days: Mapping[str, Sequence[date]], choice: PeriodChoice
) -> tuple[list[AccountPeriods], list[str]]:
    """Return the periods of each account with a complete day, and a note for each other one.

    Raises:
        CommandError: if no account has a complete day.
    """
    accounts, without = [], []
    for owner, days in stored_days.items():
        last = next((day for day in reversed(days) if _is_complete(store, table, owner, day)), None)
        if last is None:
            without.append(owner)
            continue
        periods = choice.resolve(last, days[-1])
        known = set(days)
        lacking = [
            tuple(day for day in window.days if day not in known or not _is_complete(store, table, owner, day))
            for window in (periods.this, periods.before)
        ]
        accounts.append(AccountPeriods(owner, periods, *lacking))
    if not accounts:
        raise CommandError(f"no stored day of {table} is complete yet; run `tiktok-assets sync` tomorrow.")
    return accounts, [f"Account {owner} is left out: it has no complete day yet." for owner in without]


def _is_complete(store: HiveStore, table: str, advertiser_id: str, day: date) -> bool:
    return is_partition_complete(store.read_metadata(table, Partition(advertiser_id, day)))


def _read_rows(store: HiveStore, table: str, subject: Subject, accounts: Sequence[AccountPeriods]) -> pl.DataFrame:
    """Read the rows of the complete days, once for each period a day belongs to, with its name in `period`."""
    texts = ("advertiser_id", "currency", subject.key, *subject.names)
    schema = pl.Schema(
        {
            **dict.fromkeys(texts, pl.String()),
            "date": pl.Date(),
            **{name: MONEY if METRICS_BY_NAME[name].kind == "money" else pl.Int64() for name in _SUMMED},
        }
    )
    periods = pl.DataFrame(
        [
            {"advertiser_id": one.advertiser_id, "period": period, "date": day}
            for one in accounts
            for period, day in one.complete_days
        ],
        {"advertiser_id": pl.String(), "period": pl.String(), "date": pl.Date()},
    )
    days = {(owner, day) for owner, _, day in periods.iter_rows()}
    partitions = [
        one
        for one in store.partitions(table, [account.advertiser_id for account in accounts])
        if one.day is None or (one.advertiser_id, one.day) in days
    ]
    return (
        store.read(table, schema, partitions).join(periods.lazy(), on=["advertiser_id", "date"]).collect()
    ).with_columns(pl.col("currency").fill_null(""))


def _find_names(
    store: HiveStore, by: str, keys: Sequence[str], subject: Subject, rows: pl.DataFrame
) -> pl.DataFrame:
    """Return the latest names of each subject by its keys."""
    latest = rows.sort("date").group_by(keys).agg(pl.col(name).drop_nulls().last() for name in subject.names)
    if by == "account":
        return latest.join(_read_accounts(store).drop("currency"), on="advertiser_id", how="left")
    if by == "creative":
        schema = pl.Schema(dict.fromkeys((*keys, "creative_name"), pl.String()))
        names = store.scan(CREATIVES, schema, advertiser_ids=rows.get_column("advertiser_id").unique())
        return latest.join(names.collect().unique(keys, keep="first"), on=keys, how="left")
    return latest


def _read_accounts(store: HiveStore) -> pl.DataFrame:
    schema = pl.Schema(dict.fromkeys(("advertiser_id", "name", "currency"), pl.String()))
    accounts = store.scan("advertisers", schema).collect().unique("advertiser_id", keep="first")
    return accounts.rename({"name": "advertiser_name"})


_DAY_COLUMNS = ("first_day", "last_day", "first_day_before", "last_day_before")
_COUNTS = ("days", "days_before", "missing_days", "missing_days_before")


def _count_days(accounts: Sequence[AccountPeriods]) -> pl.DataFrame:
    """Return the periods of each account, how many of their days are complete and how many missing."""
    return pl.DataFrame(
        [
            {
                "advertiser_id": one.advertiser_id,
                "first_day": one.periods.this.first,
                "last_day": one.periods.this.last,
                "first_day_before": one.periods.before.first,
                "last_day_before": one.periods.before.last,
                "days": len(one.periods.this.days) - len(one.missing),
                "days_before": len(one.periods.before.days) - len(one.missing_before),
                "missing_days": len(one.missing),
                "missing_days_before": len(one.missing_before),
            }
            for one in accounts
        ]
    )


def _count_days_by_currency(
    store: HiveStore, rows: pl.DataFrame, accounts: Sequence[AccountPeriods]
) -> pl.DataFrame:
    """Return the same by currency: its periods if all accounts have the same, and the sums of the counts."""
    currencies = pl.concat(
        [rows.select("advertiser_id", "currency"), _read_accounts(store).select("advertiser_id", "currency")]
    ).unique()
    return (
        _count_days(accounts)
        .join(currencies, on="advertiser_id")
        .group_by("currency")
        .agg(
            *(pl.when(pl.col(name).n_unique() == 1).then(pl.col(name).first()) for name in _DAY_COLUMNS),
            pl.col("days", "days_before", "missing_days", "missing_days_before").sum(),
        )
    )


def _compare_sums(rows: pl.DataFrame, keys: Sequence[str], days: pl.DataFrame) -> pl.DataFrame:
    """Sum both periods by currency and keys, and compute rates from the sums and the changes.

    Args:
        rows: see `_read_rows`.
        keys: what is summed beside the currency.
        days: the days of the periods, by account or by currency.
    """
    groups = list(dict.fromkeys([*keys, "currency"]))
    known = rows.select(groups).unique()
    compared = known.join(days, on=[name for name in groups if name in days.columns])
    reported = [name for name in _SUMMED if rows.get_column(name).count()]
    for period, end in zip(_PERIODS, ("", "_before"), strict=True):
        summed = (
            rows.filter(pl.col("period") == period)
            .group_by(groups)
            .agg(*sum_expressions_or_null(METRICS_BY_NAME[name] for name in _SUMMED), has_rows=pl.lit(value=True))
        )
        # Without a row on complete days nothing was delivered: zero, except for metrics that are not stored.
        idle = pl.col("has_rows").is_null() & (pl.col(f"days{end}") > 0)
        figures = (
            compared.select(*groups, f"days{end}")
            .join(summed, on=groups, how="left", nulls_equal=True)
            .with_columns(pl.when(idle).then(0).otherwise(pl.col(name)).alias(name) for name in reported)
            .with_columns(value=pl.when(pl.any_horizontal(pl.col(_VALUES).is_not_null())).then(_add_values()))
            .with_columns(
                ctr=100 * _divide("clicks", "impressions"),
                cpa=_divide("spend", "conversion").round(4).cast(MONEY, strict=False),
                roas=_divide("value", "spend"),
            )
            .select(*groups, *(pl.col(name).alias(f"{name}{end}") for name in FIGURES))
        )
        compared = compared.join(figures, on=groups, how="left", nulls_equal=True)
    compared = compared.with_columns(_change(name).alias(f"{name}_change") for name in FIGURES).with_columns(
        spend_difference=pl.col("spend") - pl.col("spend_before")
    )
    columns = [f"{name}{end}" for name in FIGURES for end in ("", "_before", "_change")]
    columns.insert(columns.index("spend_change") + 1, "spend_difference")
    return compared.select(*groups, *_DAY_COLUMNS, *_COUNTS, *columns)


def _add_values() -> pl.Expr:
    first, second = (pl.col(name).fill_null(0) for name in _VALUES)
    return first + second


def _divide(numerator: str, denominator: str) -> pl.Expr:
    divisor = pl.col(denominator).cast(pl.Float64)
    return pl.when(divisor > 0).then(pl.col(numerator).cast(pl.Float64) / divisor)


def _change(name: str) -> pl.Expr:
    """Return the change in percent; null from zero and where a period has no figure."""
    before = pl.col(f"{name}_before").cast(pl.Float64)
    return pl.when(before > 0).then(100 * (pl.col(name).cast(pl.Float64) - before) / before)


def _describe_missing(accounts: Sequence[AccountPeriods]) -> Iterator[str]:
    """Yield a sentence for each set of missing days, with the accounts that lack them."""
    owners: dict[tuple[DateWindow, tuple[date, ...]], list[str]] = {}
    for one in accounts:
        for window, missing in ((one.periods.this, one.missing), (one.periods.before, one.missing_before)):
            if missing:
                owners.setdefault((window, missing), []).append(one.advertiser_id)
    for (window, missing), ids in owners.items():
        every = len(missing) == len(window.days)
        yield (
            f"Account {format_some(ids)}: {'none' if every else f'only {len(window.days) - len(missing)}'} of the"
            f" {len(window.days)} days from {window.first} to {window.last} is stored and complete"
            f"{'' if every else f'; missing: {format_some([str(day) for day in missing])}'}. Changes from an"
            " incomplete period are marked with *."
        )


def format_some(texts: Sequence[str]) -> str:
    """Join the first texts, and say how many more there are."""
    more = len(texts) - _MAX_NAMED
    return ", ".join(texts[:_MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
