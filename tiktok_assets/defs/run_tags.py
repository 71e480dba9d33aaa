"""Define the run tags of this project and the statuses of runs that have not ended."""

import dagster as dg

FLAG_TAG = "tiktok_assets/flag"
"""The id of the flag that a run of `flag_top_spender` writes."""

FLAG_ATTEMPT_TAG = "tiktok_assets/flag_attempt"
"""How many runs were requested for the flag before this one."""

AD_TAG = "tiktok_assets/ad_id"
"""The ad that a run of `flag_top_spender` flags."""

SOURCE_FLAG_TAG = "tiktok_assets/from_flag"
"""The id of the flag that made `execute_duplications` request the run."""

DUPLICATION_KEY_TAG = "tiktok_assets/duplication"
"""The duplication key of a run that a sensor requested."""

DUPLICATION_ATTEMPT_TAG = "tiktok_assets/duplication_attempt"
"""How many runs were requested for the duplication before this one."""

STAGE_RUN_COUNT_TAG = "tiktok_assets/runs_of_stage"
"""The number of runs in the refresh stage: the first can end before the daemon has submitted the last."""

UNFINISHED_STATUSES = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def is_unfinished(run: dg.DagsterRun) -> bool:
    """Return whether a run has not ended, or has failed and Dagster is about to run it again by `run_retries`."""
    awaits_retry = run.tags.get("dagster/will_retry") == "true" and "dagster/auto_retry_run_id" not in run.tags
    return run.status in UNFINISHED_STATUSES or awaits_retry


SUPERSEDES_TAG = "tiktok_assets/supersedes"
"""The unfinished earlier refresh that this refresh replaces."""

REFRESH_TAG = "tiktok_assets/refresh"
"""The refresh a run belongs to, identified by the scheduled time of its tick."""

INTENDED_PARTITIONS_TAG = "tiktok_assets/intended_partitions"
"""The partitions a range run is meant to hold, because Dagster resolves a range in the order keys were added."""

REPEATED_PUBLICATION_TAG = "tiktok_assets/repeated_publication"
"""How many publications to the destination have failed in a row; only the first of them sends an alert."""
