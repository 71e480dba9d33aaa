"""Define the sensors that start the next refresh stage, add advertiser partitions and rebuild derived assets."""

from collections.abc import Sequence
from datetime import datetime

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.api import TikTokError, suggest_fix
from tiktok_assets.defs.account_assets import add_advertiser_partitions
from tiktok_assets.defs.checks import CHECK_TABLES_JOB
from tiktok_assets.defs.jobs import build_run_requests, get_derived_tables
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.refresh_stages import REFRESH_STAGES, plan_stage_ranges
from tiktok_assets.defs.run_tags import REFRESH_TAG, STAGE_RUN_COUNT_TAG, is_unfinished
from tiktok_assets.defs.schedules import find_latest_refresh
from tiktok_assets.session import open_session
from tiktok_assets.settings import Settings

SEQUENCE_INTERVAL_SECONDS = 4
"""Shorter than the daemon's interval of five seconds, so that the next stage starts soon after the last."""


def build_refresh_sequence_sensor(
    settings: Settings, jobs: dict[str, UnresolvedAssetJobDefinition]
) -> dg.SensorDefinition:
    """Build the sensor `refresh_sequence`, which requests the next stage when all runs of one have ended."""
    names = Names(settings)

    @dg.sensor(
        name=names.name("refresh_sequence"),
        jobs=[job for stage, job in jobs.items() if stage != REFRESH_STAGES[0]],
        minimum_interval_seconds=SEQUENCE_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the daily reports of the current refresh, then lifetime reports, then the checks.",
    )
    def _refresh_sequence(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        refresh = find_latest_refresh(context.instance, names)
        if not refresh or refresh == context.cursor:
            return dg.SkipReason("No refresh is in progress.")
        for stage in [stage for stage in REFRESH_STAGES[1:] if stage in jobs]:
            runs = context.instance.get_runs(dg.RunsFilter(tags={names.tag(REFRESH_TAG): refresh}))
            if any(map(is_unfinished, runs)) or _has_unsubmitted_runs(runs):
                return dg.SkipReason(f"Runs of refresh {refresh} are still in progress.")
            if any(run.job_name == names.name(stage) for run in runs):
                continue
            with open_session(settings) as session:
                now = datetime.fromisoformat(refresh)
                ranges = plan_stage_ranges(stage, context.instance, session.store, settings, now)
            if ranges:
                return dg.SensorResult(run_requests=list(build_run_requests(settings, stage, refresh, ranges)))
        checks = dg.RunRequest(
            run_key=f"{refresh}:{CHECK_TABLES_JOB}",
            job_name=names.name(CHECK_TABLES_JOB),
            tags={names.tag(REFRESH_TAG): refresh},
        )
        return dg.SensorResult(run_requests=[checks], cursor=refresh)

    return _refresh_sequence


def _has_unsubmitted_runs(runs: Sequence[dg.DagsterRun]) -> bool:
    """Return whether fewer runs of a stage exist than were requested; a retried run counts once."""
    keys: dict[str, set[str]] = {}
    for run in runs:
        keys.setdefault(run.job_name, set()).add(run.tags.get("dagster/run_key", run.run_id))
    return any(len(keys[run.job_name]) < int(run.tags.get(STAGE_RUN_COUNT_TAG, 0)) for run in runs)


def build_advertiser_partitions_sensor(settings: Settings) -> dg.SensorDefinition:
    """Build the sensor `advertiser_partitions`, which adds a partition for every granted account."""
    names = Names(settings)

    @dg.sensor(
        name=names.name("advertiser_partitions"),
        target=names.select(["advertisers"]),
        minimum_interval_seconds=3600,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Adds newly granted ad accounts as partitions, every hour.",
    )
    def _advertiser_partitions(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            with open_session(settings) as session:
                ids = session.advertiser_ids
        except TikTokError as error:
            return dg.SkipReason(f"Listing the accounts failed. {str(error).rstrip('.')}. {suggest_fix(error)}")
        new = add_advertiser_partitions(context.instance, ids, settings)
        result = f"Added {', '.join(new)}." if new else "None is new."
        return dg.SkipReason(f"{len(ids)} advertisers are granted or configured. {result}")

    return _advertiser_partitions


def build_derived_assets_sensor(
    settings: Settings, published: Sequence[str] = ()
) -> dg.AutomationConditionSensorDefinition:
    """Build the sensor `derived_assets`, which rebuilds the derived tables after updates of their sources.

    Args:
        settings: name the tables.
        published: the published tables, which it writes again after updates of ours.
    """
    names = Names(settings)
    return dg.AutomationConditionSensorDefinition(
        names.name("derived_assets"),
        target=names.select([*get_derived_tables(settings), *published]),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=30,
        # Where few runs may run at once, the refresh goes first: what is derived is built again after each stage.
        run_tags={"dagster/priority": "-1"},
        description="Ranks the top spenders and rebuilds overview and warehouse after their sources changed.",
    )
