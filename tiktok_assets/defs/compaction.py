"""Define the job `compact_months` and its monthly schedule, which is off until somebody turns it on."""

from collections import Counter

import dagster as dg

from tiktok_assets.defs.names import Names
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.ingest import find_first_open_day
from tiktok_assets.settings import Settings
from tiktok_assets.storage import compact_months

COMPACTION_JOB = "compact_months"


def build_compaction_job(
    settings: Settings, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dg.JobDefinition:
    """Build the job `compact_months`; launched again after a failure, it compacts the months that are left."""
    names = Names(settings)

    @dg.op(
        name=names.name("compact_past_months"),
        description="Writes the days of past months into one file per account and month.",
        required_resource_keys=names.required_resources,
    )
    def _compact_past_months(context: dg.OpExecutionContext) -> None:
        tiktok = names.session(context)
        before = find_first_open_day(settings, tiktok.now())
        compacted, kept = Counter[str](), Counter[str]()
        for month in compact_months(tiktok.store, get_stored_tables(settings), before):
            if month.reason is None:
                compacted[month.table] += 1
            else:
                kept[month.table] += 1
                context.log.warning(str(month))
        for table in sorted({*compacted, *kept}):
            context.log.info("%s: %d months compacted, %d kept", table, compacted[table], kept[table])
        context.add_output_metadata({"months": compacted.total(), "kept": kept.total(), "before": str(before)})

    @dg.job(
        name=names.name(COMPACTION_JOB),
        executor_def=executor,
        description="Writes the days of past months into one file per account and month, for faster reading.",
    )
    def _compact_months() -> None:
        _compact_past_months()

    return _compact_months


def build_compaction_schedule(settings: Settings, job: dg.JobDefinition) -> dg.ScheduleDefinition:
    """Build the schedule `monthly_compaction`, which launches the job on the second day of each month."""
    return dg.ScheduleDefinition(
        name=Names(settings).name("monthly_compaction"),
        job=job,
        cron_schedule="30 3 2 * *",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Compacts the past months of all tables, which needs no request.",
    )
