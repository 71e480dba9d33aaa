"""Define the automation conditions that decide when derived assets are rebuilt."""

from functools import reduce
from operator import or_

import dagster as dg

from tiktok_assets.defs.names import Names
from tiktok_assets.defs.run_tags import FLAG_TAG
from tiktok_assets.defs.table_catalog import DUPLICATION_CANDIDATES, TRIGGERING_SOURCES


def sources_updated(names: Names, *tables: str) -> dg.AutomationCondition:
    """Match when one of the source tables was updated since the asset was last materialized or requested."""
    return dg.AutomationCondition.any_deps_updated().allow(names.select(tables)).since_last_handled()


def sources_updated_and_idle(names: Names, *tables: str) -> dg.AutomationCondition:
    """Match when one of the source tables was updated and neither they nor the asset are in progress.

    For an asset that also reads tables whose updates must not trigger it.
    """
    return (
        sources_updated(names, *tables)
        & ~dg.AutomationCondition.any_deps_in_progress().allow(names.select(tables))
        & ~dg.AutomationCondition.in_progress()
    ).with_label(f"{' or '.join(tables)} updated and idle")


def after_sources_and_ranking(names: Names) -> dg.AutomationCondition:
    """Match when a source was updated or an ad was flagged, and nothing this is built from is about to change."""
    # Each table with its own triggering sources: an update of a table that an asset reads but is not triggered by
    # would keep the warehouse waiting forever.
    ranking_update_pending = reduce(
        or_,
        (
            dg.AutomationCondition.any_deps_match(sources_updated(names, *sources)).allow(names.select([table]))
            for table, sources in TRIGGERING_SOURCES.items()
        ),
    ).with_label("an update of the ranking or of a table derived from it is pending")
    # A flag can be written seconds after the page was built. When one evaluation sees both, Dagster counts the
    # flag as handled by the materialization, in whichever order they happened; only a request by this condition
    # resets it.
    ad_flagged = (
        dg.AutomationCondition.any_deps_match(
            dg.AutomationCondition.any_new_update_has_run_tags(tag_keys={names.tag(FLAG_TAG)})
        )
        .allow(names.select([DUPLICATION_CANDIDATES]))
        .since(dg.AutomationCondition.newly_requested())
        .with_label("an ad was flagged")
    )
    # Without the last term the warehouse would be built while the ranking is being rebuilt, and again after it.
    return (
        (dg.AutomationCondition.any_deps_updated().since_last_handled() | ad_flagged)
        & ~dg.AutomationCondition.any_deps_in_progress()
        & ~dg.AutomationCondition.in_progress()
        & ~ranking_update_pending
    ).with_label("sources updated and idle, no ranking update pending")
