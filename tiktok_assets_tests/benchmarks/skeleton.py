"""Materialize the same assets and partitions without any content, to measure Dagster alone."""

import sys
from datetime import date

import dagster as dg

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
ADVERTISERS = dg.DynamicPartitionsDefinition(name="advertiser_id")


def _empty(name: str, partitions: "dg.PartitionsDefinition[str] | None", deps: list[str]) -> dg.AssetsDefinition:
    policy = dg.BackfillPolicy.single_run() if partitions else None

    @dg.asset(name=name, partitions_def=partitions, backfill_policy=policy, deps=deps)
    def _asset() -> None:
        return None

    return _asset


def main(advertiser_id: str, start: str, first: str, last: str) -> None:
    """Materialize the hierarchy of one advertiser and its daily ad report from `first` to `last`."""
    days = dg.DailyPartitionsDefinition(start_date=date.fromisoformat(start).isoformat(), end_offset=1)
    by_day = dg.MultiPartitionsDefinition({"advertiser_id": ADVERTISERS, "date": days})
    hierarchy = ["campaigns", "ad_groups", "ads"]
    definitions = dg.Definitions(
        assets=[
            _empty("advertisers", None, []),
            *(_empty(name, ADVERTISERS, ["advertisers"]) for name in hierarchy),
            _empty("ad_report_daily", by_day, ["ads"]),
        ],
        jobs=[
            dg.define_asset_job("refresh_accounts", selection=["advertisers", *hierarchy]),
            dg.define_asset_job("refresh_daily", selection=["ad_report_daily"]),
        ],
        executor=dg.in_process_executor,
    )
    ranges = {
        "refresh_accounts": (advertiser_id, advertiser_id),
        "refresh_daily": (f"{advertiser_id}|{first}", f"{advertiser_id}|{last}"),
    }
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("advertiser_id", [advertiser_id])
        for job, (begin, end) in ranges.items():
            tags = {"dagster/asset_partition_range_start": begin, "dagster/asset_partition_range_end": end}
            result = definitions.resolve_job_def(job).execute_in_process(
                instance=instance, tags=tags, run_config=QUIET
            )
            if not result.success:
                sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:5])
