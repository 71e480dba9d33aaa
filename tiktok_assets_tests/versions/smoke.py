"""List the tests that show within a minute whether a set of versions works."""

SMOKE_TESTS = (
    # The definitions load, alone, merged, and as a component.
    "test_definitions.py::test_assets_match_the_contract",
    "test_definitions.py::test_partitions_match_the_contract",
    "test_definitions.py::test_jobs_match_the_contract",
    "test_definitions.py::test_column_schema_matches_the_stored_columns",
    "test_definitions.py::test_definitions_can_be_merged",
    "component/test_component.py::test_two_components_are_side_by_side",
    "component/test_component.py::test_each_setting_is_an_attribute",
    "component/test_component.py::test_tables_are_translated",
    "component/test_component.py::test_definitions_are_post_processed",
    "component/test_component.py::test_components_with_one_prefix_are_refused",
    # Tables are materialized through Dagster and checked, and the warehouse is built.
    "defs/test_materializations.py::test_range_run_records_each_partition_once",
    "defs/test_materializations.py::test_downstream_asset_runs_in_the_same_run",
    "defs/test_materializations.py::test_dagster_counts_recorded_partitions_as_materialized",
    "defs/test_checks.py::test_each_check_of_each_table_has_one_result",
    "defs/test_warehouse_asset.py::test_warehouse_has_every_table_with_its_rows",
    # Sandbox, refresh, flag, alert and duplication.
    "end_to_end/test_demo.py::test_demo_prints_its_scenario_and_connects_to_no_other_host",
    "overview/test_page.py::test_page_is_valid_html",
    "alerts/test_picture.py::test_webhook_has_the_picture_in_the_message",
    "alerts/test_picture.py::test_mail_has_the_picture_as_attachment",
    # Webserver and daemon start and answer.
    "webserver/test_dev.py::test_dagster_graphql_client",
)

DG_TESTS = ("component/test_component.py::test_scaffolded_component_runs_against_the_sandbox",)
"""Tests that need `dg`."""
