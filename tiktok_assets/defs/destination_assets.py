"""Define the destinations: one asset and one job for each database or lake that the tables are published to."""

from contextlib import closing
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition,  # what define_asset_job returns; Dagster exports no name for it
)

from tiktok_assets.defs.names import Names
from tiktok_assets.defs.table_catalog import get_stored_tables, list_tables_to_publish
from tiktok_assets.naming import DESTINATIONS
from tiktok_assets.session import open_store
from tiktok_assets.settings import Settings

_KINDS = {"postgres": "postgres", "duckdb": "duckdb", "delta": "deltalake", "iceberg": "iceberg"}


def get_destination_assets(settings: Settings) -> list[str]:
    """Return the names of the assets of all destinations, as `destinations/postgres`."""
    return [f"{DESTINATIONS}/{name}" for name in settings.destinations]


def get_publish_job(destination: str) -> str:
    """Return the name of the job that publishes to a destination, without prefix."""
    return f"publish_{destination}"


def build_destination_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """Build one asset per destination, downstream of every stored table.

    It has no automation condition: `destination_sensors` starts it, again after a failure, until it succeeds.
    """
    return [_build_destination_asset(settings, name) for name in settings.destinations]


def _build_destination_asset(settings: Settings, name: str) -> dg.AssetsDefinition:
    names = Names(settings)
    key = names.key(f"{DESTINATIONS}/{name}")

    @dg.asset(
        key=key,
        group_name=DESTINATIONS,
        kinds={_KINDS[name]},
        description=f"The stored tables in the destination `{name}`: each version of a partition is published"
        " once, in one transaction with its row in `published_partitions` there.",
        deps=names.keys(get_stored_tables(settings)),
        required_resource_keys=names.required_resources,
    )
    def _destination(context: dg.AssetExecutionContext) -> None:
        from tiktok_assets.publish import DestinationError, open_destination, publish_tables  # noqa: PLC0415

        # The store of the run may use a listing that is older than what another process has published.
        tables = list_tables_to_publish(settings, open_store(settings))
        try:
            with closing(open_destination(name, settings)) as destination:
                result = publish_tables(tables, destination, log=context.log.info)
        except DestinationError as error:
            raise dg.Failure(f"{error}.", allow_retries=False) from None
        metadata: dict[str, Any] = {
            "rows": sum(result.rows.values()),
            "partitions": sum(result.partitions.values()),
            "partitions_unchanged": result.unchanged,
            "seconds": result.seconds,
            "rows_by_table": dg.MetadataValue.json(result.rows),
            "partitions_by_table": dg.MetadataValue.json(result.partitions),
        }
        if result.failures:
            # What was published stays; the failed step must not look as if nothing was.
            context.log_event(dg.AssetObservation(key, metadata={**metadata, "failures": result.failures}))
            raise dg.Failure(f"{'. '.join(result.failures)}.", allow_retries=False)
        context.add_output_metadata(metadata)

    return _destination


def build_publish_jobs(
    settings: Settings, executor: dg.ExecutorDefinition = dg.in_process_executor
) -> dict[str, UnresolvedAssetJobDefinition]:
    """Build the job of each destination, by its name."""
    names = Names(settings)
    return {
        destination: dg.define_asset_job(
            names.name(get_publish_job(destination)),
            selection=names.select([f"{DESTINATIONS}/{destination}"]),
            executor_def=executor,
            description=f"Publishes what changed to the destination {destination}.",
        )
        for destination in settings.destinations
    }
