"""Print a comparison: three lines for each subject, this period, the one before, and the change."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from tiktok_assets.cli.compare import FIGURES, RATES, AccountPeriods, Comparison, format_some
from tiktok_assets.cli.output import log_line, print_line
from tiktok_assets.cli.rendering import Row, print_csv, print_json, print_rows

_FIGURES = tuple(name for name in FIGURES if name != "value")


def print_comparison(comparison: Comparison, *, as_json: bool, as_csv: bool, raw: bool) -> None:
    """Print a comparison; with JSON or CSV the sentences about its days go to standard error."""
    sentences = [*_describe_periods(comparison.accounts), *comparison.notes]
    if as_json or as_csv:
        rows = comparison.rows.to_dicts()
        print_json(rows) if as_json else print_csv(rows, comparison.rows.columns, raw=raw)
        for sentence in sentences:
            log_line(sentence)
        return
    names = comparison.rows.columns[: comparison.rows.columns.index("currency")]
    shown = [name for name in names if name != "advertiser_id" or comparison.by == "account"]
    if comparison.by == "country" and len(comparison.accounts) > 1:
        shown.insert(0, "advertiser_id")
    for (currency,), of_currency in comparison.rows.group_by("currency", maintain_order=True):
        lines = [line for row in of_currency.to_dicts() for line in _list_lines(row, shown)]
        print_rows(
            lines,
            [*shown, "period", *_FIGURES],
            title=f"By {comparison.by}, in {currency or 'an unknown currency'}",
        )
    if comparison.rows.is_empty():
        print_line("No rows.")
    for sentence in sentences:
        print_line(sentence)


def _list_lines(row: Row, names: list[str]) -> Iterator[Row]:
    """Yield this period with the names, the period before, and the change in percent."""
    described = {names[0]: "total"} if row["is_total"] else {name: row[name] for name in names}
    money = {"currency": row["currency"]}
    yield {**described, **money, "period": "this", **{name: _round(name, row[name]) for name in _FIGURES}}
    yield {**money, "period": "before", **{name: _round(name, row[f"{name}_before"]) for name in _FIGURES}}
    marked = "*" if row["missing_days"] or row["missing_days_before"] else ""
    changes = {name: row[f"{name}_change"] for name in _FIGURES}
    yield {
        "period": "change",
        **{name: f"{change:+,.1f} %{marked}" for name, change in changes.items() if change is not None},
    }


def _round(name: str, value: Decimal | float | None) -> Decimal | float | None:
    """Round a rate to two decimals, which is enough to compare; JSON and CSV have all."""
    return value if value is None or name not in RATES else Decimal(value).quantize(Decimal("0.01"))


def _describe_periods(accounts: Sequence[AccountPeriods]) -> Iterator[str]:
    """Yield a sentence for each pair of periods, with the accounts it is of if there are several pairs."""
    owners: dict[str, list[str]] = {}
    for one in accounts:
        this, before = one.periods.this, one.periods.before
        sentence = f"{this.first} to {this.last} against {before.first} to {before.last}"
        owners.setdefault(sentence, []).append(one.advertiser_id)
    lengths = {(len(one.periods.this.days), len(one.periods.before.days)) for one in accounts}
    for sentence, ids in owners.items():
        of = f" (account {format_some(ids)})" if len(owners) > 1 else ""
        yield f"Complete days of {sentence}{of}."
    for this_days, days_before in sorted(lengths):
        if this_days != days_before:
            yield f"The periods have {this_days} and {days_before} days, so sums differ by that too; rates do not."
