"""Load the models of the dbt project as assets."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets

PROJECT = DbtProject(project_dir=Path(__file__).parents[3] / "dbt")
PROJECT.prepare_if_dev()
if not PROJECT.manifest_path.is_file():  # the first `dg check defs` or `dg launch`
    PROJECT.preparer.prepare(PROJECT)

# `AutomationCondition.eager()` would wait until every day since the start date is stored.
AFTER_NEW_DATA = (
    dg.AutomationCondition.any_deps_updated().since_last_handled()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)


class MartsTranslator(DagsterDbtTranslator):
    """Put the models into one group, and run them after their tables were refreshed."""

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the group of each model."""
        del dbt_resource_props
        return "marts"

    def get_automation_condition(
        self, dbt_resource_props: Mapping[str, Any]
    ) -> dg.AutomationCondition[dg.AssetKey]:
        """Return the condition of each model."""
        del dbt_resource_props
        return AFTER_NEW_DATA


@dbt_assets(manifest=PROJECT.manifest_path, dagster_dbt_translator=MartsTranslator())
def marts(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Build the models and run their tests."""
    yield from dbt.cli(["build"], context=context).stream()


@dg.definitions
def defs() -> dg.Definitions:
    """Return the models and the resource that runs dbt."""
    return dg.Definitions(
        assets=[marts],
        resources={"dbt": DbtCliResource(project_dir=PROJECT)},
        # dbt is a process of its own, so a step needs no other one, which would load all definitions again.
        executor=dg.in_process_executor,
    )
