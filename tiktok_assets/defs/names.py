"""Name assets, jobs, sensors, partitions and resources, so that two sets of them can be loaded side by side."""

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg

from tiktok_assets.defs.partitions import ADVERTISER_DIMENSION, build_advertiser_days
from tiktok_assets.naming import DESTINATIONS, PUBLISHED, add_name_prefix, get_asset_path, get_prefix_parts
from tiktok_assets.session import Session
from tiktok_assets.settings import Settings

SESSION_RESOURCE = "tiktok"
IO_MANAGER = "hive_parquet"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of everything that is defined from one set of settings.

    Attributes:
        settings: with the prefix and the keys of single tables.
    """

    settings: Settings

    def key(self, table: str) -> dg.AssetKey:
        """Return the asset key of a table."""
        return dg.AssetKey(list(get_asset_path(self.settings, table)))

    def keys(self, tables: Iterable[str]) -> list[dg.AssetKey]:
        """Return the asset keys of tables."""
        return [self.key(table) for table in tables]

    def table(self, key: dg.AssetKey) -> str:
        """Return the table of an asset key; `published/ads` for a published one, also `destinations/delta`."""
        tables = {path: table for table, path in self.settings.asset_keys.items()}
        prefix = get_prefix_parts(self.settings)
        parts = 2 if tuple(key.path[:-1]) in {(*prefix, PUBLISHED), (*prefix, DESTINATIONS)} else 1
        return tables.get("/".join(key.path), "/".join(key.path[-parts:]))

    def tables(self, keys: Iterable[dg.AssetKey]) -> set[str]:
        """Return the tables of asset keys."""
        return {self.table(key) for key in keys}

    def select(self, tables: Iterable[str]) -> dg.AssetSelection:
        """Select the assets of tables."""
        return dg.AssetSelection.assets(*self.keys(tables))

    def name(self, plain: str) -> str:
        """Return the name of a job, schedule, sensor, op or tag value."""
        return add_name_prefix(self.settings, plain)

    def tag(self, plain: str) -> str:
        """Return the key of a run tag that finds the runs of these definitions only."""
        return f"tiktok_assets/{self.name(plain.removeprefix('tiktok_assets/'))}"

    @property
    def partitions_name(self) -> str:
        """The name of the advertiser partitions in the instance."""
        return self.name(ADVERTISER_DIMENSION)

    @property
    def advertisers(self) -> dg.DynamicPartitionsDefinition:
        """The partitions definition with a partition per advertiser."""
        return dg.DynamicPartitionsDefinition(name=self.partitions_name)

    @property
    def advertiser_days(self) -> dg.MultiPartitionsDefinition:
        """The partitions definition with a partition per advertiser and day."""
        return build_advertiser_days(self.advertisers, self.settings.start_date)

    @property
    def session_resource(self) -> str:
        """The key of the resource with the session."""
        return self.name("session") if self.settings.key_prefix else SESSION_RESOURCE

    @property
    def io_manager(self) -> str:
        """The key of the IO manager."""
        return self.name(IO_MANAGER)

    @property
    def required_resources(self) -> set[str]:
        """The resource keys of a step that uses the session."""
        return {self.session_resource}

    def session(self, context: dg.AssetExecutionContext | dg.OpExecutionContext) -> Session:
        """Return the session of a run."""
        session: Session = getattr(context.resources, self.session_resource)
        return session
