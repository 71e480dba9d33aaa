"""Build all assets of the settings, and check which of them are chosen and which keys they have."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from tiktok_assets.creatives import CREATIVE_DAILY, CREATIVE_DECLINES, CREATIVES
from tiktok_assets.defs.account_assets import build_account_assets
from tiktok_assets.defs.asset_attributes import add_attributes
from tiktok_assets.defs.creative_assets import build_creative_tables
from tiktok_assets.defs.derived_assets import build_overview_asset, build_top_spenders_asset, build_warehouse_asset
from tiktok_assets.defs.destination_assets import build_destination_assets
from tiktok_assets.defs.gmv_max_assets import build_gmv_max_report_asset
from tiktok_assets.defs.jobs import UNPARTITIONED_DERIVED_TABLES
from tiktok_assets.defs.names import Names
from tiktok_assets.defs.published_assets import Publication, build_published_assets
from tiktok_assets.defs.report_assets import build_report_asset, build_restatements_asset
from tiktok_assets.defs.scaling_assets import (
    build_ad_duplications_asset,
    build_duplication_candidates_asset,
    build_duplication_results_asset,
)
from tiktok_assets.defs.table_catalog import (
    ACCOUNT_OVERVIEW,
    AD_DUPLICATIONS,
    DUPLICATION_CANDIDATES,
    DUPLICATION_RESULTS,
    TOP_SPENDERS,
    get_stored_tables,
)
from tiktok_assets.settings import Settings, SettingsError
from tiktok_assets.spec import ADVERTISERS, LISTED_ENTITIES, RESTATEMENTS, history_table_name

_SOURCES_OF_ALL_OTHERS: Mapping[str, frozenset[str]] = {
    RESTATEMENTS: frozenset(),
    ACCOUNT_OVERVIEW: frozenset(),
    # Its views select from these whichever reports there are.
    "warehouse": frozenset({ADVERTISERS.table, *(entity.table for entity in LISTED_ENTITIES)}),
}
"""What is built from all chosen tables, with the tables it needs."""


def change_settings(settings: Settings, **changes: Any) -> Settings:  # noqa: ANN401 - any field, checked here
    """Return settings with other values; a value that is None changes nothing.

    Raises:
        SettingsError: if a value is invalid.
    """
    valid: dict[str, Any] = {}
    for name, value in changes.items():
        field = Settings.model_fields[name]
        if value is not None:
            try:
                kind: Any = Annotated[field.annotation, *field.metadata]
                valid[name] = TypeAdapter(kind).validate_python(value)
            except ValidationError as error:
                reason = error.errors(include_input=False, include_url=False)[0]["msg"]
                raise SettingsError(f"{name} cannot be used: {reason.removeprefix('Value error, ')}.") from None
    return settings.model_copy(update=valid)


def build_all_assets(settings: Settings, published: Publication | None = None) -> list[dg.AssetsDefinition]:
    """Build every asset that exists by the settings, the published tables and the destinations."""
    tables = get_stored_tables(settings)
    derived = [
        (build_restatements_asset, [RESTATEMENTS]),
        (build_creative_tables, [CREATIVES, CREATIVE_DAILY, CREATIVE_DECLINES]),
        (build_top_spenders_asset, [TOP_SPENDERS]),
        (build_duplication_candidates_asset, [DUPLICATION_CANDIDATES]),
        (build_ad_duplications_asset, [AD_DUPLICATIONS]),
        (build_duplication_results_asset, [DUPLICATION_RESULTS]),
    ]
    assets = [
        *build_account_assets(settings),
        *(build_report_asset(report, settings) for report in settings.chosen_reports),
        *(build_gmv_max_report_asset(report, settings) for report in settings.chosen_gmv_max_reports),
        *(build(settings) for build, names in derived if tables.keys() & set(names)),
        *([build_overview_asset(settings)] if settings.includes(ACCOUNT_OVERVIEW) else []),
        *([build_warehouse_asset(settings)] if settings.includes("warehouse") else []),
        *(build_published_assets(settings, published) if published else []),
        *build_destination_assets(settings),
    ]
    return add_attributes(assets, settings)


def stores_top_spenders(settings: Settings) -> bool:
    """Return whether the ranking exists, and with it the flags and their job and sensor."""
    return {TOP_SPENDERS, DUPLICATION_CANDIDATES} <= get_stored_tables(settings).keys()


def list_all_names(settings: Settings) -> list[str]:
    """Return the names of all tables and pages that exist by the settings."""
    pages = [name for name in UNPARTITIONED_DERIVED_TABLES if settings.includes(name)]
    return [*get_stored_tables(settings), *pages]


def require_complete_selection(settings: Settings) -> None:
    """Check that `include` names tables that exist, and all that they are built from.

    Raises:
        SettingsError: if not; one sentence with what is missing.
    """
    if not settings.include:
        return
    everything = settings.model_copy(update={"include": [], "destinations": []})
    names = Names(everything)
    known = list_all_names(everything)
    if unknown := [name for name in settings.include if name not in known]:
        raise SettingsError(
            f"include cannot be used: no table is called {unknown[0]!r}. With these settings there are"
            f" {', '.join(known)}."
        )
    sources: dict[str, AbstractSet[str]] = {
        names.table(spec.key): names.tables(dep.asset_key for dep in spec.deps)
        for asset in build_all_assets(everything)
        for spec in asset.specs
    }
    sources |= _SOURCES_OF_ALL_OTHERS
    for entity in LISTED_ENTITIES:  # one step writes both
        sources[history_table_name(entity.table)] |= {entity.table}
    chosen = set(list_all_names(settings))
    missing: dict[str, str] = {}
    waiting = [*settings.include]
    while waiting:
        table = waiting.pop(0)
        new = [source for source in known if source in sources[table] and source not in {*chosen, *missing}]
        missing |= dict.fromkeys(new, table)
        waiting += new
    if missing:
        first, user = next(iter(missing.items()))
        raise SettingsError(
            f"include cannot be used: {user} is built from {first}, which it leaves out. Add {', '.join(missing)}."
        )
    if empty := [name for name in settings.include if name not in chosen]:
        raise SettingsError(
            f"include cannot be used: {empty[0]} is built from daily reports, and it names none. Add one, such as"
            " ad_report_daily."
        )


def require_distinct_keys(settings: Settings, published: Iterable[str] = ()) -> None:
    """Reject a key of a table that does not exist, and one that another table has.

    Raises:
        SettingsError: with the table and the key.
    """
    names = Names(settings)
    tables = {table: names.key(table) for table in (*list_all_names(settings), *published)}
    if unknown := sorted(settings.asset_keys.keys() - tables.keys()):
        raise SettingsError(
            f"TIKTOK_ASSET_KEYS cannot be used: no table is called {unknown[0]!r}. The tables are"
            f" {', '.join(tables)}."
        )
    for table, key in tables.items():
        if others := [other for other, taken in tables.items() if taken == key and other != table]:
            raise SettingsError(
                f"TIKTOK_ASSET_KEYS cannot be used: {key.to_user_string()!r} is the key of {table} and of"
                f" {others[0]}. Give each table its own."
            )


def replace_groups(
    assets: Sequence[dg.AssetsDefinition], group_name: str | Mapping[str, str] | None
) -> list[dg.AssetsDefinition]:
    """Replace the groups of assets: all by one, or some by others.

    Raises:
        SettingsError: if a group to replace does not exist.
    """
    if not group_name:
        return list(assets)
    groups = sorted({spec.group_name or "" for asset in assets for spec in asset.specs})
    renamed = dict.fromkeys(groups, group_name) if isinstance(group_name, str) else dict(group_name)
    if unknown := sorted(renamed.keys() - set(groups)):
        raise SettingsError(
            f"group_name cannot be used: no group is called {unknown[0]!r}. The groups are {', '.join(groups)}."
        )

    def replace(spec: dg.AssetSpec) -> dg.AssetSpec:
        group = spec.group_name or ""
        return spec.replace_attributes(group_name=renamed.get(group, group))

    return [asset.map_asset_specs(replace) for asset in assets]
