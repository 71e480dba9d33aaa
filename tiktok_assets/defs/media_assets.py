"""Define the tables of the videos, images and posts that ads use, with their thumbnails."""

from collections.abc import Iterator

import dagster as dg

from tiktok_assets.defs.metadata import build_table_metadata, record_materializations
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import SINGLE_RUN, get_run_partitions
from tiktok_assets.defs.progress import log_plan, log_progress
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.ingest import open_downloads, refresh_media
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ADS, MEDIA_TABLES, SMART_PLUS_ADS
from tiktok_assets.storage import ThumbnailStore
from tiktok_assets.tables import entity_columns


def build_media_tables(settings: Settings) -> dg.AssetsDefinition:
    """Build the assets of the files; one step fills all of them, so that the limits count for them together."""
    names = Names(settings)

    @dg.multi_asset(
        name=names.name("media"),
        specs=[
            dg.AssetSpec(
                names.key(media.table),
                group_name="account",
                kinds={"tiktok", "polars", "parquet"},
                description=media.entity.meaning,
                metadata=build_table_metadata(entity_columns(media.entity)),
                deps=names.keys([ADS.table, SMART_PLUS_ADS.table]),
            )
            for media in MEDIA_TABLES
            if settings.includes(media.table)
        ],
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        can_subset=True,
        required_resource_keys=names.required_resources,
    )
    def _media_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        yield from _refresh_media_tables(context, names)

    return _media_tables


def _refresh_media_tables(context: dg.AssetExecutionContext, names: Names) -> Iterator[dg.MaterializeResult]:
    """Read the files of new ads, and download pictures up to the number of a run."""
    tiktok = names.session(context)
    partitions = get_run_partitions(context)
    log_plan(context, names, partitions)
    ids = [str(partition.advertiser_id) for partition in partitions]
    settings = tiktok.settings
    with open_downloads(
        ThumbnailStore(tiktok.store.base),
        settings.base_url,
        max_pictures=settings.thumbnails_per_run,
        max_megabytes=settings.thumbnails_mb,
    ) as downloads:
        for media in MEDIA_TABLES:
            key = names.key(media.table)
            if key not in context.selected_asset_keys:
                continue
            outcomes = refresh_media(tiktok.reader, tiktok.store, media, ids, downloads)
            result = record_materializations(
                context, names, log_progress(context, tiktok, media.table, outcomes, len(ids))
            )
            yield dg.MaterializeResult(asset_key=key, metadata=result.metadata)
        context.log.info("%d thumbnails were stored, %.1f MB.", downloads.pictures, downloads.bytes / 1e6)
        if downloads.write_error:
            context.log.warning(
                "Thumbnails cannot be stored in %s (%s); the next refresh makes up for them.",
                tiktok.store.base,
                escape_control_characters(downloads.write_error),
            )
