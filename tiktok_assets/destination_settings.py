"""Define the settings of the destinations, which `settings.Settings` inherits."""

from pydantic import Field
from pydantic_settings import BaseSettings

from tiktok_assets.setting_types import Destinations, LocalFolder, PostgresUrl, SchemaName

DEFAULT_SCHEMA = "tiktok"


class DestinationSettings(BaseSettings):
    """To which databases the tables are published; the alias of a field is its environment variable."""

    destinations: Destinations = Field(
        [],
        alias="TIKTOK_DESTINATIONS",
        description="where the tables are published after each refresh, comma-separated: `postgres`,"
        " `duckdb`; each needs its setting below",
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
