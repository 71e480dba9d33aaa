"""Define `creatives` and `creative_daily`, which sum the ad reports by creative, and `creative_declines`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import dagster as dg
import polars as pl

from tiktok_assets.creatives import (
    CREATIVE_DAILY,
    CREATIVE_DECLINES,
    CREATIVES,
    CreativeHistory,
    read_ads,
    read_summary_sources,
    record_declines,
    summarize_creatives,
    update_creative_days,
)
from tiktok_assets.defs.automation_conditions import sources_updated_and_idle
from tiktok_assets.defs.creative_wall import build_creatives_wall
from tiktok_assets.defs.derived_assets import INSIGHTS_GROUP, find_complete_days
from tiktok_assets.defs.metadata import ALREADY_RECORDED, build_table_metadata
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.partitions import SINGLE_RUN
from tiktok_assets.defs.plots import render_markdown_table, render_rows_that_fit
from tiktok_assets.defs.table_catalog import (
    CREATIVE_SOURCES,
    TABLE_DESCRIPTIONS,
    get_stored_tables,
)
from tiktok_assets.overview import Row, format_money
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings
from tiktok_assets.spec import ADS, MEDIA_TABLES
from tiktok_assets.storage import HiveStore, Partition, ThumbnailStore

MAX_PREVIEW_ROWS = 8

_NAME_SCHEMA = pl.Schema({"advertiser_id": pl.String(), "name": pl.String()})


def build_creative_tables(settings: Settings) -> dg.AssetsDefinition:
    """Build the tables of creatives, which are made in one step and read the same tables."""
    tables, reports = get_stored_tables(settings), {report.table for report in settings.chosen_reports}
    sources, names = [table for table in CREATIVE_SOURCES if table in reports], Names(settings)

    @dg.multi_asset(
        name=names.name("creative_tables"),
        specs=[
            dg.AssetSpec(
                names.key(table),
                group_name=INSIGHTS_GROUP,
                kinds={"polars", "parquet"},
                description=TABLE_DESCRIPTIONS[table],
                metadata=build_table_metadata(tables[table]),
                deps=names.keys([*sources, ADS.table, *(media.table for media in MEDIA_TABLES)]),
                automation_condition=sources_updated_and_idle(names, *sources),
            )
            for table in (CREATIVES, CREATIVE_DAILY, CREATIVE_DECLINES)
            if table in tables
        ],
        partitions_def=names.advertisers,
        backfill_policy=SINGLE_RUN,
        can_subset=True,
        required_resource_keys=names.required_resources,
    )
    def _creative_tables(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult]:
        tiktok = names.session(context)
        for advertiser_id in context.partition_keys:
            began = time.monotonic()
            ads = read_ads(tiktok.store, advertiser_id)
            days = update_creative_days(tiktok.store, advertiser_id, ads)
            complete = find_complete_days(tiktok.store, advertiser_id, days.newest_day) if days.newest_day else []
            creatives = summarize_creatives(
                ads,
                days.rows,
                read_summary_sources(tiktok.store, advertiser_id),
                complete[0] if complete else None,
                len(complete),
            )
            selected = names.tables(context.selected_asset_keys)
            written_tables = {CREATIVE_DAILY: days.rows, CREATIVES: creatives}
            if CREATIVE_DECLINES in selected:
                creative_names, thumbnails = (
                    dict(creatives.select("creative_id", column).iter_rows())
                    for column in ("creative_name", "thumbnail")
                )
                history = CreativeHistory(
                    advertiser_id,
                    _read_name(tiktok, advertiser_id),
                    days.rows,
                    creative_names,
                    complete,
                    partial(_read_thumbnail, tiktok.store, thumbnails),
                )
                written_tables[CREATIVE_DECLINES] = record_declines(tiktok.state, settings, history, tiktok.now())
            partition = Partition(advertiser_id)
            for table, rows in written_tables.items():
                # `creatives` is the sum of the rows of `creative_daily`, so both are made whichever is asked for;
                # only what was asked for is written.
                if table not in selected:
                    continue
                metadata = days.metadata if table == CREATIVE_DAILY else {}
                written = tiktok.store.write(table, partition, rows, metadata=metadata)
                context.log_event(
                    dg.AssetMaterialization(
                        names.key(table),
                        partition=advertiser_id,
                        metadata={
                            "dagster/partition_row_count": written.rows,
                            "rows": written.rows,
                            "days_read": days.days_read,
                            "seconds": round(time.monotonic() - began, 3),
                            "kilobytes_stored": round(written.bytes / 1e3, 1),
                            **(_build_pictures(tiktok.store, rows) if table == CREATIVES else {}),
                        },
                    )
                )
        for key in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=key, metadata=ALREADY_RECORDED)

    return _creative_tables


def _read_name(session: Session, advertiser_id: str) -> str | None:
    rows = session.store.scan("advertisers", _NAME_SCHEMA).filter(pl.col("advertiser_id") == advertiser_id)
    return next(iter(rows.collect().get_column("name")), None)


def _read_thumbnail(store: HiveStore, thumbnails: Mapping[str, str | None], creative_id: str) -> bytes | None:
    digest = thumbnails.get(creative_id)
    return ThumbnailStore(store.base).read(digest) if digest else None


def _build_pictures(store: HiveStore, creatives: pl.DataFrame) -> Mapping[str, dg.MarkdownMetadataValue]:
    """Render the creatives with the highest lifetime spend, and those with thumbnails as a wall."""
    rows = creatives.head(MAX_PREVIEW_ROWS).to_dicts()
    return {
        "preview": render_rows_that_fit(_render_preview, rows, ""),
        **build_creatives_wall(store, creatives),
    }


def _render_preview(creatives: Sequence[Row], _: str) -> str:
    rows = [
        (
            row["creative_name"] or row["creative_id"],
            row["creative_kind"],
            str(row["ads"]),
            format_money(row["spend_lifetime"], row["currency"] or ""),
            format_money(row["spend_7d"], row["currency"] or ""),
            _format_rate(row["hook_rate_7d"]),
            _format_rate(row["hold_rate_7d"]),
            _format_rate(row["ctr_7d"]),
        )
        for row in creatives
    ]
    headings = ("creative", "kind", "ads", "spend", "spend, 7 days", "hook rate", "hold rate", "click rate")
    return render_markdown_table(headings, rows, numbers=range(2, len(headings)))


def _format_rate(percent: float | None) -> str:
    return "" if percent is None else f"{percent:.1f} %"
