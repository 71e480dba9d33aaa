"""Define the run tags of this project and the run statuses that mean a run has not ended."""

import dagster as dg

FLAG_TAG = "tiktok_assets/flag"
"""On each run that shall flag: the flag's id."""

FLAG_ATTEMPT_TAG = "tiktok_assets/flag_attempt"

AD_TAG = "tiktok_assets/ad_id"

SOURCE_FLAG_TAG = "tiktok_assets/from_flag"
"""On each run `execute_duplications` asked for: the flag."""

DUPLICATION_KEY_TAG = "tiktok_assets/duplication"
"""On each run a sensor asked for: the key of the duplication."""

DUPLICATION_ATTEMPT_TAG = "tiktok_assets/duplication_attempt"

STAGE_RUN_COUNT_TAG = "tiktok_assets/runs_of_stage"
"""How many runs the stage of a refresh has: the first may end before the daemon has submitted the last."""

UNFINISHED_STATUSES = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

SUPERSEDES_TAG = "tiktok_assets/supersedes"
"""The earlier refresh that stopped half way and whose place this one takes."""

REFRESH_TAG = "tiktok_assets/refresh"
"""Which refresh a run belongs to: the instant its schedule fired."""

INTENDED_PARTITIONS_TAG = "tiktok_assets/intended_partitions"
"""What a range run was asked to hold, written out, because a range follows the order keys were added in."""
