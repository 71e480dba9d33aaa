"""Check that every stored day was read with the columns that its report has now."""

from dataclasses import replace
from datetime import date

from tiktok_assets.api import DateWindow
from tiktok_assets.ingest import describe_column_gaps, find_column_gaps
from tiktok_assets.quality.checked_table import CheckedTable
from tiktok_assets.quality.outcome import CheckOutcome
from tiktok_assets.quality.table_reader import CheckContext

HOW_TO_FILL = "run `tiktok-assets plan --missing-columns`, then `tiktok-assets sync --missing-columns`"

MAX_OPENED_FILES = 5_000
"""How many files of a table one evaluation opens. Only the first ones after an update have so many that the index
of columns does not know; the next evaluations open the rest."""


def check_filled_columns(context: CheckContext, table: CheckedTable) -> CheckOutcome:
    """Check which columns are null in which stored days because the days were read without them.

    Reading the days again fills them. Days of which that is not so, because TikTok refused the metric or the
    account has another time zone now, are noted.
    """
    expected = context.list_expected_accounts(table)
    gaps = find_column_gaps(
        context.store,
        table.table,
        [column.name for column in table.columns],
        {owner: account for owner, account in context.accounts[0].items() if owner in expected},
        DateWindow(context.start, date.max),
        now=context.now,
        max_files=MAX_OPENED_FILES,
    )
    notes = describe_column_gaps(one for one in gaps.gaps if one not in gaps.fillable)
    if gaps.unknown:
        notes.append(f"{gaps.unknown:,} stored days were not looked at yet; the next checks do so")
    outcome = CheckOutcome.from_faults(
        (
            {
                "advertiser_id": one.advertiser_id,
                "columns": ", ".join(one.columns),
                "days": str(len(one.days)),
                "first": str(one.days[0]),
                "last": str(one.days[-1]),
            }
            for one in gaps.fillable
        ),
        notes=notes,
    )
    phrases = "; ".join(describe_column_gaps(gaps.fillable))
    return replace(outcome, summary=f"{phrases}; {HOW_TO_FILL}") if phrases else outcome
