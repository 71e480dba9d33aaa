"""Define the sensors that publish to each destination after its tables were written, and again after a failure."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import takewhile

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.defs.names import Names
from tiktok_assets.defs.run_tags import REPEATED_PUBLICATION_TAG, UNFINISHED_STATUSES
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.settings import Settings
from tiktok_assets.storage import utc_now

SENSOR_INTERVAL_SECONDS = 60
QUIET_TIME = timedelta(minutes=1)
"""How long no table was written when a refresh counts as over."""

MAX_AGE = timedelta(minutes=30)
"""How old the last publication may be while tables are written without a pause, such as by a backfill."""

FIRST_RETRY, RETRY_FACTOR, LONGEST_RETRY = timedelta(minutes=5), 3, timedelta(hours=2)
_MAX_COUNTED_FAILURES = 6


def build_publish_sensors(
    settings: Settings, jobs: Mapping[str, UnresolvedAssetJobDefinition]
) -> list[dg.SensorDefinition]:
    """Build the sensor of each destination.

    Args:
        settings: name the tables.
        jobs: by destination, from `build_publish_jobs`.
    """
    return [_build_sensor(settings, destination, job) for destination, job in jobs.items()]


def _build_sensor(settings: Settings, destination: str, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    names = Names(settings)
    tables = names.keys(get_stored_tables(settings))

    @dg.sensor(
        name=names.name(f"publish_changes_to_{destination}"),
        job=job,
        minimum_interval_seconds=SENSOR_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Publishes to {destination} when a refresh has written tables, and again after a failure, the"
        " first time after five minutes and at most every two hours.",
    )
    def _publish_changes(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        last = context.instance.get_run_records(
            dg.RunsFilter(job_name=job.name), limit=_MAX_COUNTED_FAILURES, order_by="id"
        )
        if last and last[0].dagster_run.status in UNFINISHED_STATUSES:
            return dg.SkipReason(f"A publication to {destination} is in progress.")
        newest_id, written_at = _find_newest_materialization(context.instance, tables)
        failed = list(takewhile(lambda record: record.dagster_run.status != dg.DagsterRunStatus.SUCCESS, last))
        tags = {"dagster/priority": "-1"}
        if failed:
            due = _ended_at(failed[0]) + min(LONGEST_RETRY, FIRST_RETRY * RETRY_FACTOR ** (len(failed) - 1))
            if utc_now() < due:
                return dg.SkipReason(
                    f"The last publication to {destination} failed; the next one begins at {due:%H:%M} UTC."
                )
            tags[REPEATED_PUBLICATION_TAG] = str(len(failed))
            run_key = f"{destination}:after:{failed[0].dagster_run.run_id}"
        else:
            if newest_id <= int(context.cursor or 0):
                return dg.SkipReason("No table was written since the last publication.")
            is_recent = bool(last) and utc_now() - _ended_at(last[0]) < MAX_AGE
            if utc_now() - written_at < QUIET_TIME and (is_recent or not last):
                return dg.SkipReason("Tables are being written; they are published a minute after the last one.")
            run_key = f"{destination}:{newest_id}"
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=run_key, tags=tags)], cursor=str(newest_id))

    return _publish_changes


def _find_newest_materialization(instance: dg.DagsterInstance, tables: list[dg.AssetKey]) -> tuple[int, datetime]:
    """Return the storage id and the time of the newest materialization; one query, however many days there are."""
    entries = [record.asset_entry.last_materialization_record for record in instance.get_asset_records(tables)]
    found = [(entry.storage_id, entry.timestamp) for entry in entries if entry]
    newest_id, timestamp = max(found, default=(0, 0.0))
    return newest_id, datetime.fromtimestamp(timestamp, UTC)


def _ended_at(record: dg.RunRecord) -> datetime:
    return datetime.fromtimestamp(record.end_time or record.create_timestamp.timestamp(), UTC)
