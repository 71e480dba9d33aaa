"""The registry of all checks: name, meaning, severity, tables and function of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl

from tiktok_assets.api.request_plan import DateWindow
from tiktok_assets.quality import coverage, reconciliation, table_checks
from tiktok_assets.quality.checked_table import CheckedTable
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_reader import CheckContext, TableReader

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: in Dagster.
        meaning: what is true when it passes, and what to do when it does not.
        severity: an error means figures are wrong; a warning asks for a look.
        concerns: which tables.
        ask: what one piece of evidence says; findings of several are added.
    """

    name: str
    meaning: str
    severity: Severity
    concerns: Callable[[CheckedTable], bool]
    ask: Callable[[TableReader], CheckOutcome]


def _check_known_parents(evidence: TableReader) -> CheckOutcome:
    owner, archive = evidence.advertiser_id or "", evidence.archive
    parents = evidence.subject.parents.items()
    return table_checks.check_known_parents(
        evidence.frame, {column: archive.known_ids(table, column, owner) for column, table in parents}
    )


def _check_missing_days(evidence: TableReader) -> CheckOutcome:
    account, archive = evidence.account, evidence.archive
    return (
        coverage.check_missing_days(account, evidence.stored_days, archive.start, archive.now)
        if account
        else CheckOutcome()
    )


def _check_complete_yesterday(evidence: TableReader) -> CheckOutcome:
    account, archive = evidence.account, evidence.archive
    if account is None:
        return CheckOutcome()
    return coverage.check_complete_yesterday(account, evidence.readings, archive.start, archive.now)


def _compare_levels(evidence: TableReader) -> CheckOutcome:
    subject = evidence.subject
    above = evidence.beside(str(subject.upper))
    shared = set(evidence.readable) & set(above.readable)
    lower, upper = (
        one.rows_of(one.subject, [partition for partition in one.readable if partition in shared])
        for one in (evidence, above)
    )
    if "date" in subject.key:
        lower, upper = _keep_complete_days(lower, upper)
    by = ["advertiser_id", *(["date"] if "date" in subject.key else [])]
    lower, upper = reconciliation.drop_mixed_currency_groups(lower, upper, by)
    metrics = [metric for metric in subject.metrics if metric in above.subject.metrics]
    names = (_level_name(subject), _level_name(above.subject))
    return reconciliation.compare_levels(lower, upper, metrics, evidence.archive.tolerance, names)


def _level_name(subject: CheckedTable) -> str:
    return subject.report.level.name if subject.report else subject.table


def _keep_complete_days(lower: pl.DataFrame, upper: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Without the days that moved between the two readings: those that either level holds incomplete."""
    moving = pl.concat([one.filter(~pl.col("is_complete")).get_column("date") for one in (lower, upper)]).unique()
    without = ~pl.col("date").is_in(moving.implode())
    return lower.filter(without), upper.filter(without)


def _compare_lifetime_with_days(evidence: TableReader) -> CheckOutcome:
    account, archive, owner = evidence.account, evidence.archive, evidence.advertiser_id
    if account is None:
        return CheckOutcome()
    created = archive.advertisers.filter(pl.col("advertiser_id") == owner).get_column("create_time")
    first = reconciliation.find_first_day(created.first(), account) if created.len() else None  # type: ignore[arg-type]
    daily = evidence.beside(str(evidence.subject.daily))
    days = daily.stored_days
    if first is None or not days or days[0] > first:
        reach = f"the stored days begin on {days[0]}" if days else "no day is stored"
        began = f"the account on {first}" if first else "nobody says when the account began"
        return CheckOutcome(notes=(f"{owner} was not judged: {reach}, {began}",))
    window = DateWindow(days[0], days[-1])
    if len(window.days) != len(days):
        return CheckOutcome(notes=(f"{owner} was not judged: its days have holes",))
    return reconciliation.compare_lifetime_with_days(
        evidence.frame, daily.rows_of(daily.subject, daily.partitions), window, account, archive.tolerance
    )


CHECKS: tuple[Check, ...] = (
    Check(
        "accounts_tell_zone_and_currency",
        "Every active account has a time zone and a currency. Where the host tells none, name them in"
        " TIKTOK_ACCOUNT_TIMEZONE and TIKTOK_ACCOUNT_CURRENCY: the account's reports fail until then.",
        "error",
        lambda subject: subject.table == "advertisers",
        lambda evidence: evidence.archive.accounts[1],
    ),
    Check(
        "declared_schema",
        "Every file holds its columns in their declared types. One that does not was written by something else:"
        " refresh the partition.",
        "error",
        lambda _: True,
        lambda evidence: table_checks.check_declared_schema(
            evidence.schemas, evidence.subject.schema, evidence.subject.key
        ),
    ),
    Check(
        "keys_name_rows",
        "Every row has its whole key and no two have the same, so that nothing is counted twice. Refresh the"
        " partition named.",
        "error",
        lambda subject: bool(subject.key),
        lambda evidence: table_checks.check_unique_keys(evidence.frame, evidence.subject.key),
    ),
    Check(
        "no_negative_spend",
        "Nothing cost less than nothing. TikTok's own figure is kept as it came; ask whether it is a credit.",
        "error",
        lambda subject: bool(subject.spends),
        lambda evidence: table_checks.check_negative_spend(
            evidence.frame, evidence.subject.spends, evidence.subject.key
        ),
    ),
    Check(
        "known_values",
        "Statuses, objectives, budget modes and the like hold documented values only. A new one is kept as it"
        " came; filters that list values do not know it yet.",
        "warning",
        lambda subject: bool(subject.enumerations),
        lambda evidence: table_checks.check_known_values(evidence.frame, evidence.subject.enumerations),
    ),
    Check(
        "values_fit",
        "Every value was what its column is. One that was not is null, or rounded, and what came is in `extra`"
        " under `malformed_values`: compare it in Ads Manager, and report it to TikTok if it stays.",
        "warning",
        lambda subject: subject.is_read and "extra" in subject.names,
        lambda evidence: table_checks.check_malformed_values(evidence.frame, evidence.subject.key),
    ),
    Check(
        "known_fields",
        "The API sent no field that is news to its documentation. A new one is kept in `extra`; a row in"
        " `spec/entities.py` makes it a column.",
        "warning",
        lambda subject: subject.is_read and "extra" in subject.names,
        lambda evidence: table_checks.check_known_fields(evidence.frame, evidence.subject.documented),
    ),
    Check(
        "known_parents",
        "Every campaign, ad group and ad that a row names stands in its table, deleted ones included. One created"
        " between two readings is known after the next refresh.",
        "warning",
        lambda subject: subject.is_read and bool(subject.parents),
        _check_known_parents,
    ),
    Check(
        "levels_agree",
        "The totals agree with the level above within TIKTOK_RECONCILIATION_TOLERANCE: spend on each complete day,"
        " every additive metric over all of them. Less below can be honest, since some delivery exists only above"
        " the ad; more below never is. Totals of the account are those of the advertiser level.",
        "warning",
        lambda subject: subject.upper is not None,
        _compare_levels,
    ),
    Check(
        "life_is_its_days",
        "The lifetime spend is the sum of the stored days, where these reach the account's first day; today and"
        " days past the last one stored are allowed for. A gap means days that were restated after their last"
        " reading: raise TIKTOK_LOOKBACK_DAYS or read them again.",
        "warning",
        lambda subject: subject.daily is not None,
        _compare_lifetime_with_days,
    ),
    Check(
        "no_row_drop",
        "The newest day has at least half the rows of a usual day of the account. Fewer are honest where campaigns"
        " were paused or ended.",
        "warning",
        lambda subject: subject.is_report_by_day,
        lambda evidence: coverage.check_row_drop(str(evidence.advertiser_id), evidence.rows_by_ended_day),
    ),
    Check(
        "complete_yesterday",
        "Every active account was read within a day, has its yesterday, and each day that was whole by then was"
        " read whole. If not, look at the last runs of `daily_refresh`, or run `sync`.",
        "warning",
        lambda subject: subject.is_report_by_day,
        _check_complete_yesterday,
    ),
    Check(
        "no_holes",
        "Every day from the first one read to the last is stored for every active account; history since"
        " TIKTOK_START_DATE that was never read is noted. `backfill_history` reads the stretches named.",
        "warning",
        lambda subject: subject.is_report_by_day,
        _check_missing_days,
    ),
)


def select_checks(subject: CheckedTable) -> tuple[Check, ...]:
    """The checks that concern a table, in order."""
    return tuple(check for check in CHECKS if check.concerns(subject))


@dataclass(slots=True)
class CheckResults:
    """What the checks of a table found, and at how much they looked."""

    findings: dict[str, CheckOutcome]
    rows: int = 0
    partitions: int = 0


def evaluate_checks(archive: CheckContext, table: str, names: Mapping[str, Check]) -> CheckResults:
    """Ask these checks of every account of a table, one account in memory at a time."""
    looked = CheckResults({name: CheckOutcome() for name in names})
    for evidence in archive.of(table):
        for name, check in names.items():
            looked.findings[name] += check.ask(evidence)
        looked.rows += evidence.frame.height
        looked.partitions += len(evidence.recent)
    return looked
