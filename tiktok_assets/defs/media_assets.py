"""Define the tables of the videos, images and posts that ads use, with their thumbnails."""

from collections.abc import Iterator

import dagster as dg

from tiktok_assets.defs.metadata import build_table_metadata, record_materializations
from tiktok_assets.defs.partitions import ADVERTISERS, SINGLE_RUN, get_run_partitions
from tiktok_assets.defs.progress import log_plan, log_progress
from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.ingest import open_downloads, refresh_media
from tiktok_assets.session import Session
from tiktok_assets.spec import ADS, MEDIA_TABLES, SMART_PLUS_ADS
from tiktok_assets.storage import ThumbnailStore
from tiktok_assets.tables import entity_columns


@dg.multi_asset(
    name="media",
    specs=[
        dg.AssetSpec(
            media.table,
            group_name="account",
            kinds={"tiktok", "polars", "parquet"},
            description=media.entity.meaning,
            metadata=build_table_metadata(entity_columns(media.entity)),
            deps=[ADS.table, SMART_PLUS_ADS.table],
        )
        for media in MEDIA_TABLES
    ],
    partitions_def=ADVERTISERS,
    backfill_policy=SINGLE_RUN,
    can_subset=True,
)
def media_tables(
    context: dg.AssetExecutionContext, tiktok: dg.ResourceParam[Session]
) -> Iterator[dg.MaterializeResult]:
    """Read the files of new ads, and download pictures up to the number of a run.

    One step fills all tables, so that the limits count for them together.
    """
    partitions = get_run_partitions(context)
    log_plan(context, tiktok, partitions)
    ids = [str(partition.advertiser_id) for partition in partitions]
    settings = tiktok.settings
    with open_downloads(
        ThumbnailStore(tiktok.store.base),
        settings.base_url,
        max_pictures=settings.thumbnails_per_run,
        max_megabytes=settings.thumbnails_mb,
    ) as downloads:
        for media in MEDIA_TABLES:
            key = dg.AssetKey(media.table)
            if key not in context.selected_asset_keys:
                continue
            outcomes = refresh_media(tiktok.reader, tiktok.store, media, ids, downloads)
            result = record_materializations(
                context, log_progress(context, tiktok, media.table, outcomes, len(ids))
            )
            yield dg.MaterializeResult(asset_key=key, metadata=result.metadata)
        context.log.info("%d thumbnails were stored, %.1f MB.", downloads.pictures, downloads.bytes / 1e6)
        if downloads.write_error:
            context.log.warning(
                "Thumbnails cannot be stored in %s (%s); the next refresh makes up for them.",
                tiktok.store.base,
                escape_control_characters(downloads.write_error),
            )
