"""Declare which columns of which tables the columns of the derived tables are computed from.

Dagster keeps it with each asset. A source that only chooses or orders the rows, such as the spend by which ads are
ranked, is not listed for the other columns, and what comes from the state is not listed at all. The history of a
table is built from the same responses as the table, so it has no source here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import dagster as dg

from tiktok_assets.creatives import (
    CREATIVE_DAILY,
    CREATIVE_DAILY_COLUMNS,
    CREATIVE_DECLINES,
    CREATIVES,
    CREATIVES_COLUMNS,
)
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.report_assets import get_daily_reports
from tiktok_assets.defs.table_catalog import (
    AD_DUPLICATIONS,
    AD_REPORT_DAILY,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    get_stored_tables,
)
from tiktok_assets.settings import Settings
from tiktok_assets.spec import (
    CREATIVE_RATES,
    RESTATEMENTS,
    WATCH_SECONDS,
    Column,
)

Sources = Mapping[str, Sequence[str]]
"""By column: what it is computed from, each as `table.column`; `table.` is its column of the same name."""

_AD_LIFETIME, _CAMPAIGN_LIFETIME = "ad_report_lifetime", "campaign_report_lifetime"
_MEDIA_IDS = ("ads.video_id", "ads.tiktok_item_id", "ads.image_ids")
_STATUSES = tuple(
    f"{table}.{name}_status" for table in ("ads", "ad_groups") for name in ("operation", "secondary")
)


def _from(source: str, *columns: str) -> Sources:
    return dict.fromkeys(columns, (source,))


_TOP_SPENDERS: Sources = {
    **_from(f"{_AD_LIFETIME}.", "advertiser_id", "campaign_id", "campaign_name", "currency", "fetched_at"),
    **_from(f"{_AD_LIFETIME}.", "ad_id", "ad_name", "ad_group_id", "ad_group_name", "spend"),
    **_from(f"{_AD_LIFETIME}.ad_id", "runner_up_ad_id", "ads"),
    **_from(f"{_AD_LIFETIME}.ad_name", "runner_up_ad_name"),
    **_from(f"{_AD_LIFETIME}.spend", "runner_up_spend", "lead", "smart_plus_ad_spend", "smart_plus_ad_share"),
    **_from(f"{_AD_LIFETIME}.fetched_at", "leads_since"),
    **_from(f"{_CAMPAIGN_LIFETIME}.spend", "campaign_spend"),
    **_from(f"{AD_REPORT_DAILY}.date", "complete_until", "complete_days"),
    "share": (f"{_AD_LIFETIME}.spend", f"{_CAMPAIGN_LIFETIME}.spend"),
    "ad_kind": ("ads.extra", "ad_groups.extra", "campaigns.extra", "campaigns.objective_type"),
    "is_deleted": (*_STATUSES, "campaigns.operation_status", "campaigns.secondary_status"),
    **_from("ads.", "video_id", "tiktok_item_id", "smart_plus_ad_id"),
    "smart_plus_ad_name": ("smart_plus_ads.ad_name",),
    "media_ads": ("ads.video_id", "ads.tiktok_item_id"),
    "media_spend": (f"{_AD_LIFETIME}.spend",),
    "media_share": (f"{_AD_LIFETIME}.spend", f"{_CAMPAIGN_LIFETIME}.spend"),
    **{
        name.format(days): (f"{AD_REPORT_DAILY}.{source}",)
        for days in (3, 7, 30)
        for name, source in (
            ("spend_{}d", "spend"),
            ("campaign_spend_{}d", "spend"),
            ("rank_{}d", "spend"),
            ("top_{}d_ad_id", "ad_id"),
            ("top_{}d_ad_name", "ad_name"),
            ("top_{}d_spend", "spend"),
        )
    },
}

_CANDIDATES: Sources = {
    **_from(f"{TOP_SPENDERS}.", "advertiser_id", "campaign_id", "campaign_name", "currency", "ad_id", "ad_name"),
    **_from(f"{TOP_SPENDERS}.", "ad_group_id", "leads_since", "spend", "campaign_spend", "share", "fetched_at"),
    **_from(f"{TOP_SPENDERS}.", "runner_up_ad_id", "runner_up_spend", "lead", "ad_kind"),
    **_from(f"{TOP_SPENDERS}.ad_id", "previous_ad_id"),
    **_from(f"{TOP_SPENDERS}.ad_kind", "duplicable", "duplication_reason", "duplication_steps"),
}

_RESULTS: Sources = {
    **_from(f"{AD_DUPLICATIONS}.", "advertiser_id", "duplication_key", "ad_id", "copy_ad_id", "campaign_id"),
    **_from(f"{AD_REPORT_DAILY}.", "currency", "fetched_at"),
    **_from(f"{AD_REPORT_DAILY}.date", "first_day", "last_day"),
    **{
        f"{prefix}{name}": tuple(f"{AD_REPORT_DAILY}.{source}" for source in sources)
        for prefix in ("", "copy_")
        for name, sources in {
            "spend": ("spend",),
            "cpm": ("spend", "impressions"),
            "ctr": ("clicks", "impressions"),
            "cpa": ("spend", "conversion"),
            "roas": ("total_complete_payment_value", "spend"),
        }.items()
    },
}

_DECLINES: Sources = {
    **_from(f"{AD_REPORT_DAILY}.", "advertiser_id", "currency", "fetched_at"),
    **dict.fromkeys(("creative_id", "creative_kind", "creative_name", "replacement_id"), _MEDIA_IDS),
    "replacement_name": _MEDIA_IDS,
    **_from(f"{AD_REPORT_DAILY}.date", "best_from", "recent_from", "since", "found_on", "recovered_on"),
    **_from(f"{AD_REPORT_DAILY}.spend", "best_spend", "recent_spend"),
    **_from(f"{AD_REPORT_DAILY}.spend", "replacement_spend_before", "replacement_spend"),
    **_from(f"{AD_REPORT_DAILY}.impressions", "best_impressions", "recent_impressions"),
    **dict.fromkeys(
        ("metric", "best_rate", "recent_rate", "drop", "z", "status"),
        tuple(f"{AD_REPORT_DAILY}.{name}" for name in ("video_watched_2s", "clicks", "impressions")),
    ),
}


def _sum_sources(report: str, summed: str) -> Sequence[str]:
    """Return the sources of a sum over ads; the watch time is the average of an ad times its plays."""
    names = ("average_video_play", "video_play_actions") if summed == WATCH_SECONDS else (summed,)
    return tuple(f"{report}.{name}" for name in names)


def _creative_sources(columns: Iterable[Column]) -> Sources:
    """Return the sources of the columns of `creatives` or `creative_daily`."""
    found: dict[str, Sequence[str]] = {
        **_from(f"{AD_REPORT_DAILY}.", "date"),
        **dict.fromkeys(("creative_id", "creative_kind"), _MEDIA_IDS),
        "creative_name": ("videos.file_name", "images.file_name", "ads.ad_name"),
        "thumbnail": ("videos.", "images.", "posts."),
        **_from("ads.", "video_id", "tiktok_item_id", "image_ids"),
        "status": ("ads.operation_status", "ads.secondary_status"),
        "active_ads": ("ads.operation_status", "ads.secondary_status"),
        "ads": ("ads.ad_id",),
        "campaigns": ("ads.campaign_id",),
        **_from(f"{AD_REPORT_DAILY}.date", "first_spend_date", "last_spend_date", "complete_until"),
    }
    for column in columns:
        name, _, window = column.name.rpartition("_")
        report = _AD_LIFETIME if window == "lifetime" else AD_REPORT_DAILY
        if window not in ("7d", "28d", "lifetime"):
            found.setdefault(column.name, _sum_sources(AD_REPORT_DAILY, column.name))
        elif rate := CREATIVE_RATES.get(name):
            found[column.name] = tuple(
                dict.fromkeys(one for part in rate.parts for one in _sum_sources(report, part))
            )
        else:
            found[column.name] = _sum_sources(report, name)
    return found


def _restatement_sources(settings: Settings) -> Sources:
    """Return the sources of the columns of `report_restatements`: every daily report."""
    return {
        column: tuple(f"{table}.{source}" for table in get_daily_reports(settings))
        for source, columns in {
            "advertiser_id": ("advertiser_id", "rows_before", "rows_after", "rows_change"),
            "date": ("date", "age_days"),
            "fetched_at": ("fetched_at", "previous_fetched_at", "age_days", "is_settled"),
            "currency": ("currency",),
            "spend": ("spend_before", "spend_after", "spend_change"),
            "conversion": ("conversion_before", "conversion_after", "conversion_change"),
        }.items()
        for column in columns
    }


def declare_sources(settings: Settings) -> Mapping[str, Sources]:
    """Return the sources of the derived tables that exist under the settings, by table."""
    tables = get_stored_tables(settings)
    declared = {
        TOP_SPENDERS: _TOP_SPENDERS,
        DUPLICATION_CANDIDATES: _CANDIDATES,
        DUPLICATION_RESULTS: _RESULTS,
        CREATIVES: _creative_sources(CREATIVES_COLUMNS),
        CREATIVE_DAILY: _creative_sources(CREATIVE_DAILY_COLUMNS),
        CREATIVE_DECLINES: _DECLINES,
        RESTATEMENTS: _restatement_sources(settings),
    }
    return {table: sources for table, sources in declared.items() if table in tables}


def build_column_lineage(settings: Settings) -> Mapping[str, dg.TableColumnLineage]:
    """Build the column lineage of the derived tables, by table; a source that is not stored is left out."""
    names, tables = Names(settings), get_stored_tables(settings)
    stored = {table: {column.name for column in columns} for table, columns in tables.items()}

    def resolve(column: str, sources: Sequence[str]) -> Iterator[dg.TableColumnDep]:
        for source in sources:
            table, _, name = source.partition(".")
            if (name or column) in stored.get(table, ()):
                yield dg.TableColumnDep(names.key(table), name or column)

    return {
        table: dg.TableColumnLineage(
            {
                column.name: deps
                for column in tables[table]
                if (deps := list(resolve(column.name, sources.get(column.name, ()))))
            }
        )
        for table, sources in declare_sources(settings).items()
    }
