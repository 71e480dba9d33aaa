"""Tests of documented fields and enumerations: they equal those of the API contracts."""

import pytest

from tiktok_assets.spec.documented_fields import DOCUMENTED_FIELDS, ENUMERATIONS
from tiktok_assets.spec.entities import ENTITIES, Entity
from tiktok_assets_tests.contracts.contract import load_contract

each_entity = pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.table)


@each_entity
def test_every_documented_field_is_a_column_or_listed(entity: Entity) -> None:
    """Every documented field either has a column or is listed as a field of `extra`, never both."""
    response = load_contract(entity.endpoint.path.strip("/")).response
    paths = [path.partition("list[].")[2] for path in response if "list[]." in path]
    documented = {path.split(".")[0].split("[")[0] for path in paths}
    columns = {column.api_name for column in entity.columns}
    assert documented - columns == DOCUMENTED_FIELDS[entity.table]


@each_entity
def test_enumerations_contain_every_documented_value(entity: Entity) -> None:
    """An enumeration contains every value that the documents list for its column."""
    response = load_contract(entity.endpoint.path.strip("/")).response
    api_names = {column.name: column.api_name for column in entity.columns}
    for column, values in ENUMERATIONS[entity.table].items():
        (fact,) = [fact for path, fact in response.items() if path.endswith(f"list[].{api_names[column]}")]
        assert set(fact.values or ()) <= values, column
        assert all(value == value.upper() and " " not in value for value in values)
