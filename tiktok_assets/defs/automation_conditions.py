"""Define the automation conditions that decide when derived assets are rebuilt."""

from functools import reduce
from operator import or_

import dagster as dg

from tiktok_assets.defs.runs import FLAG_TAG
from tiktok_assets.defs.table_catalog import DUPLICATION_CANDIDATES, TRIGGERING_SOURCES


def sources_updated(*tables: str) -> dg.AutomationCondition:
    """One of these sources was updated since the asset was last made or asked for."""
    return dg.AutomationCondition.any_deps_updated().allow(dg.AssetSelection.assets(*tables)).since_last_handled()


def sources_updated_and_idle(*tables: str) -> dg.AutomationCondition:
    """Due and quiet, for an asset that also reads tables whose update alone is no reason to run."""
    return (
        sources_updated(*tables)
        & ~dg.AutomationCondition.any_deps_in_progress().allow(dg.AssetSelection.assets(*tables))
        & ~dg.AutomationCondition.in_progress()
    ).with_label(f"after {' and '.join(tables)}, once quiet")


# Each by its own reasons: a source that one of them only reads beside would keep the warehouse waiting for ever.
_RANKING_UPDATE_PENDING = reduce(
    or_,
    (
        dg.AutomationCondition.any_deps_match(sources_updated(*sources)).allow(dg.AssetSelection.assets(table))
        for table, sources in TRIGGERING_SOURCES.items()
    ),
).with_label("the ranking or what follows from it is about to change")

# A flag comes seconds after the page was made. When both are new at the same look, Dagster takes the older update
# for handled by the younger materialization, in whichever order they came; only a request of our own settles it.
_AD_FLAGGED = (
    dg.AutomationCondition.any_deps_match(dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={FLAG_TAG}))
    .allow(dg.AssetSelection.assets(DUPLICATION_CANDIDATES))
    .since(dg.AutomationCondition.newly_requested())
    .with_label("an ad was flagged")
)

# Without the ranking the warehouse is built beside the new one, and then again for it and what follows from it.
AFTER_SOURCES_AND_RANKING = (
    (dg.AutomationCondition.any_deps_updated().since_last_handled() | _AD_FLAGGED)
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
    & ~_RANKING_UPDATE_PENDING
).with_label("after its sources and the ranking")
