"""Open the destinations that the settings name."""

from collections.abc import Callable, Mapping
from typing import Any

from tiktok_assets.publish.destination import Destination, DestinationError
from tiktok_assets.settings import Settings


def open_destination(name: str, settings: Settings) -> Destination:
    """Open a destination; the caller closes it.

    Args:
        name: one of TIKTOK_DESTINATIONS.
        settings: with the settings of that destination.

    Raises:
        DestinationError: if a setting or a library is missing, or the destination cannot be reached.
    """
    return _OPENERS[name](settings)


def _require(value: Any, name: str, variable: str) -> Any:  # noqa: ANN401 - any value
    if not value:
        raise DestinationError(
            f"the destination {name} needs {variable}; set it, or remove {name} from TIKTOK_DESTINATIONS"
        )
    return value


def _open_postgres(settings: Settings) -> Destination:
    from tiktok_assets.publish.postgres import PostgresDestination  # noqa: PLC0415 - one destination is used

    url = _require(settings.postgres_url, "postgres", "TIKTOK_POSTGRES_URL")
    return PostgresDestination(url.get_secret_value(), settings.postgres_schema)


def _open_duckdb(settings: Settings) -> Destination:
    from tiktok_assets.publish.duckdb_file import DuckDBDestination  # noqa: PLC0415 - as above

    file = _require(settings.duckdb_file, "duckdb", "TIKTOK_DUCKDB_FILE")
    return DuckDBDestination(file, settings.duckdb_schema)


def _open_delta(settings: Settings) -> Destination:
    from tiktok_assets.publish.delta import DeltaDestination  # noqa: PLC0415 - as above

    return DeltaDestination(_require(settings.delta_url, "delta", "TIKTOK_DELTA_URL"))


def _open_iceberg(settings: Settings) -> Destination:
    from tiktok_assets.publish.iceberg import IcebergDestination  # noqa: PLC0415 - as above

    catalog = _require(settings.iceberg_catalog, "iceberg", "TIKTOK_ICEBERG_CATALOG").get_secret_value()
    if not catalog.startswith(("http://", "https://")):
        _require(settings.iceberg_warehouse, "iceberg", "TIKTOK_ICEBERG_WAREHOUSE")
    return IcebergDestination(catalog, settings.iceberg_warehouse, settings.iceberg_namespace)


_OPENERS: Mapping[str, Callable[[Settings], Destination]] = {
    "postgres": _open_postgres,
    "duckdb": _open_duckdb,
    "delta": _open_delta,
    "iceberg": _open_iceberg,
}
