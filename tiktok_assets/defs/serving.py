"""The `serving` group: one DuckDB file with every table."""

from functools import reduce
from operator import or_

import dagster as dg

from tiktok_assets.defs.catalogue import CANDIDATES, MADE_AFTER, stored_tables, table_meanings
from tiktok_assets.defs.insights import due
from tiktok_assets.defs.scaling import FLAG_TAG
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

GROUP = "serving"

# Each by its own reasons: a source that one of them only reads beside would keep the warehouse waiting for ever.
_RANKING_IS_DUE = reduce(
    or_,
    (
        dg.AutomationCondition.any_deps_match(due(*sources)).allow(dg.AssetSelection.assets(table))
        for table, sources in MADE_AFTER.items()
    ),
).with_label("the ranking or what follows from it is about to change")
# A flag comes seconds after the page was made. When both are new at the same look, Dagster takes the older update
# for handled by the younger materialization, in whichever order they came; only a request of our own settles it.
_FLAGGED = (
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={FLAG_TAG}))
    .allow(dg.AssetSelection.assets(CANDIDATES))
    .since(dg.AutomationCondition.newly_requested())
    .with_label("an ad was flagged")
)
# Without the ranking the warehouse is built beside the new one, and then again for it and what follows from it.
AFTER_THE_RANKING = (
    (dg.AutomationCondition.any_deps_updated().since_last_handled() | _FLAGGED)
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    & ~_RANKING_IS_DUE
).with_label("after its sources and the ranking")


def warehouse_asset(settings: Settings) -> dg.AssetsDefinition:
    """The `warehouse` asset, which depends on every table."""
    tables = stored_tables(settings)

    @dg.asset(
        name="warehouse",
        group_name=GROUP,
        kinds={"duckdb"},
        description="`warehouse.duckdb`: every table in one file, replaced whole, for SQL and BI tools;"
        " monthly marts, and the columns of dbt_tiktok_ads.",
        deps=list(tables),
        automation_condition=AFTER_THE_RANKING,
    )
    def _warehouse(tiktok: dg.ResourceParam[Session]) -> dg.MaterializeResult:
        from tiktok_assets.storage.warehouse import build_warehouse  # noqa: PLC0415 - DuckDB loads slowly

        built = build_warehouse(tiktok.store, settings.state_dir, tables, table_meanings(settings))
        return dg.MaterializeResult(
            metadata={
                "path": dg.MetadataValue.path(built.path),
                "megabytes": round(built.bytes / 1e6, 2),
                "rows": sum(built.rows.values()),
                "partitions": built.files,
                "partitions_loaded": built.loaded,
                "seconds": round(built.seconds, 2),
                "rows_by_table": dg.MetadataValue.json(dict(built.rows)),
            }
        )

    return _warehouse
