"""Add what every asset has: owners, tags, a freshness policy, a code version and column lineage."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice, pairwise

import dagster as dg
from dagster._utils.schedules import cron_string_iterator  # how the daemon reads a cron; Dagster exports no name

from tiktok_assets.defs.column_lineage import build_column_lineage
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.table_catalog import get_stored_tables
from tiktok_assets.naming import PUBLISHED
from tiktok_assets.settings import Settings
from tiktok_assets.spec import Column

OWNERS = ("team:marketing",)
"""A placeholder: your own project overrides it with `dg.map_asset_specs`, or `translation` of the component."""

WARN_AFTER, FAIL_AFTER = timedelta(hours=2), timedelta(hours=6)
"""How much later than the next refresh a table may be: many accounts take hours at the basic tier."""

TRANSFORMATION_VERSIONS: Mapping[str, int] = {}
"""By table: raised when its rows are computed another way from the same input; 1 where there is no entry."""

_MAX_TICKS = 60
_REFERENCE = datetime(2026, 1, 1, tzinfo=UTC)
"""Where ticks are counted from, so that the policy of a cron is the same at every load."""


def add_attributes(assets: Iterable[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """Add owners, freshness policy, code version and column lineage, and `level` and `cadence` to the reports."""
    tags: dict[str, dict[str, str]] = {
        report.table: {"level": report.level.name, "cadence": report.cadence} for report in settings.chosen_reports
    }
    tags |= {
        report.table: {"level": report.ids[-1].removesuffix("_id"), "cadence": "daily"}
        for report in settings.chosen_gmv_max_reports
    }
    names, policy, tables = Names(settings), build_freshness_policy(settings), get_stored_tables(settings)
    lineage = {table: {"dagster/column_lineage": one} for table, one in build_column_lineage(settings).items()}

    def add(spec: dg.AssetSpec) -> dg.AssetSpec:
        table = names.table(spec.key)
        version = build_code_version(table, tables.get(table.removeprefix(f"{PUBLISHED}/"), ()))
        return spec.merge_attributes(
            owners=OWNERS, tags=tags.get(table, {}), metadata=lineage.get(table, {})
        ).replace_attributes(freshness_policy=policy, code_version=version)

    return [asset.map_asset_specs(add) for asset in assets]


def build_freshness_policy(settings: Settings) -> dg.FreshnessPolicy:
    """Build the policy by which a table is late when the next refresh should have renewed it.

    A refresh reads each account up to its own yesterday, so one clock serves all time zones.
    """
    interval = find_longest_interval(settings.refresh_cron)
    return dg.FreshnessPolicy.time_window(fail_window=interval + FAIL_AFTER, warn_window=interval + WARN_AFTER)


def find_longest_interval(cron: str) -> timedelta:
    """Return the longest interval between two ticks of a cron in UTC, of its first sixty."""
    ticks = islice(cron_string_iterator(_REFERENCE.timestamp(), cron, "UTC"), _MAX_TICKS)
    return max(later - earlier for earlier, later in pairwise(ticks))


def build_code_version(table: str, columns: Iterable[Column]) -> str:
    """Build the code version of a table, which changes with its transformation and its columns."""
    described = repr([(column.name, column.kind) for column in columns])
    return f"{TRANSFORMATION_VERSIONS.get(table, 1)}-{sha256(described.encode()).hexdigest()[:8]}"
