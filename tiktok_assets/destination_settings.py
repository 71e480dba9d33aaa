"""Define the settings of the destinations, which `settings.Settings` inherits."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from tiktok_assets.setting_types import DataFolder, Destinations, LocalFolder, PostgresUrl, SchemaName

DEFAULT_SCHEMA = "tiktok"


class DestinationSettings(BaseSettings):
    """To which databases and lakes the tables are published; the alias of a field is its environment variable."""

    destinations: Destinations = Field(
        [],
        alias="TIKTOK_DESTINATIONS",
        description="where the tables are published after each refresh, comma-separated: `postgres`, `duckdb`,"
        " `delta`, `iceberg`; each needs its setting below",
    )
    postgres_url: PostgresUrl | None = Field(
        None,
        alias="TIKTOK_POSTGRES_URL",
        description="database of the destination `postgres`, never shown: `postgresql://user:password@host:5432/db`",
    )
    postgres_schema: SchemaName = Field(
        DEFAULT_SCHEMA, alias="TIKTOK_POSTGRES_SCHEMA", description="its schema, which is created"
    )
    duckdb_file: LocalFolder | None = Field(
        None,
        alias="TIKTOK_DUCKDB_FILE",
        description="file of the destination `duckdb`; another one than `warehouse.duckdb`",
    )
    duckdb_schema: SchemaName = Field(
        DEFAULT_SCHEMA, alias="TIKTOK_DUCKDB_SCHEMA", description="its schema, which is created"
    )
    delta_url: DataFolder | None = Field(
        None,
        alias="TIKTOK_DELTA_URL",
        description="folder or `s3://...` of the destination `delta`, with one Delta table for each table",
    )
    iceberg_catalog: SecretStr | None = Field(
        None,
        alias="TIKTOK_ICEBERG_CATALOG",
        description="catalogue of the destination `iceberg`, never shown: a database such as"
        " `sqlite:////srv/catalog.db`, or the URL of a REST catalogue",
    )
    iceberg_warehouse: DataFolder | None = Field(
        None,
        alias="TIKTOK_ICEBERG_WAREHOUSE",
        description="folder or `s3://...` of its tables; a REST catalogue can do without",
    )
    iceberg_namespace: SchemaName = Field(
        DEFAULT_SCHEMA, alias="TIKTOK_ICEBERG_NAMESPACE", description="its namespace, which is created"
    )
