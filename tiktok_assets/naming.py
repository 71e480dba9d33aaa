"""Derive asset keys and the names of Dagster objects from the settings, as text."""

from tiktok_assets.settings import Settings

PUBLISHED = "published"
"""Begins the name of a table that is published to the store of the project: `published/ads` is that of `ads`."""

DESTINATIONS = "destinations"
"""Begins the name of the asset of a destination: `destinations/postgres`."""


def get_asset_path(settings: Settings, table: str) -> tuple[str, ...]:
    """Return the parts of a table's asset key: its own from the settings, else the prefix and the table."""
    if key := settings.asset_keys.get(table):
        return tuple(key.split("/"))
    return (*get_prefix_parts(settings), *table.split("/"))


def format_asset_key(settings: Settings, table: str) -> str:
    """Return a table's asset key with a slash between its parts, as Dagster shows it."""
    return "/".join(get_asset_path(settings, table))


def get_prefix_parts(settings: Settings) -> tuple[str, ...]:
    """Return the parts of the key prefix; none by default."""
    return tuple(settings.key_prefix.split("/")) if settings.key_prefix else ()


def add_name_prefix(settings: Settings, name: str) -> str:
    """Return the name of a job, schedule, sensor, op, resource or partitions definition, with the prefix."""
    return "_".join((*get_prefix_parts(settings), name))
