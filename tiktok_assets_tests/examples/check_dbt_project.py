"""Run the project with dbt models from a clean environment."""

from collections.abc import Callable
from decimal import Decimal

import duckdb

from tiktok_assets_tests.examples.conftest import Project, Stopwatch
from tiktok_assets_tests.versions.environments import ROOT

MODELS = {
    "spend_by_account_and_month": "advertiser_report_daily",
    "top_campaigns_by_week": "campaign_report_daily",
    "creative_performance": "creative_daily",
}
"""Each model with the table whose spend it sums."""


def test_models_sum_the_spend_of_our_tables(install: Callable[[str], Project], measure: Stopwatch) -> None:
    """Each model follows our tables in the asset graph, and its spend is that of its table to the cent."""
    project = install("dbt_project")
    with measure("dbt_project: dg check defs"):
        project.run("dg", "check", "defs")
    with measure("dbt_project: dg list defs"):
        listed = project.run("dg", "list", "defs", "--json")
    assert all(f'"{model}"' in listed for model in MODELS)
    with measure("dbt_project: fill our tables"):
        project.run("python", ROOT / "tiktok_assets_tests/examples/fill_tables.py", project.folder)
    with measure("dbt_project: dg launch of the models"):
        project.run("dg", "launch", "--assets", "group:marts")
    with duckdb.connect(str(project.folder / "data/media.duckdb"), read_only=True) as connection:
        for model, table in MODELS.items():
            files = f"'{project.folder}/data/tiktok/{table}/**/*.parquet', hive_partitioning = false"
            stored = sum_spend(connection, f"read_parquet({files})")
            assert sum_spend(connection, model) == stored > 0, model


def sum_spend(connection: duckdb.DuckDBPyConnection, source: str) -> Decimal:
    """Return the spend of a table, exactly."""
    (total,) = connection.execute(f"select sum(spend) from {source}").fetchall()[0]  # noqa: S608 - our own names
    assert isinstance(total, Decimal)
    return total
