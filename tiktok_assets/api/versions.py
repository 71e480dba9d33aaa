"""Translate requests and responses between v1.3, which this project uses, and an older API version."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.spec.api_versions import (
    NUMERIC_ID_FIELDS,
    TRANSLATIONS,
    VALUE_TRANSLATIONS,
    EndpointTranslation,
)
from tiktok_assets.spec.endpoints import Endpoint


def translate_request(
    version: str, endpoint: Endpoint, parameters: Mapping[str, Any]
) -> tuple[Endpoint, dict[str, Any]]:
    """A question of v1.3 in the words of a version; a parameter the version does not have is left out."""
    renames = TRANSLATIONS[version].get(endpoint.path, EndpointTranslation(endpoint.path))
    said = {renames.parameters.get(name, name): value for name, value in parameters.items()}
    if isinstance(filters := said.get("filters"), list):
        said["filters"] = [{**one, "filter_value": _unquote_ids(one["filter_value"])} for one in filters]
    return replace(endpoint, path=renames.path), {name: value for name, value in said.items() if name}


def translate_response(version: str, endpoint: Endpoint, data: dict[str, Any]) -> dict[str, Any]:
    """An answer of a version in the words of v1.3; what is not a list of objects stays as it is, to be judged."""
    if version == "v1.3":
        return data
    rows = decode_rows(data.get("list"))
    if not isinstance(rows, list):
        return data
    renames = TRANSLATIONS[version].get(endpoint.path, EndpointTranslation(endpoint.path))
    return {**data, "list": [_translate_row(renames, row) if isinstance(row, dict) else row for row in rows]}


def _translate_row(renames: EndpointTranslation, row: dict[str, Any]) -> dict[str, Any]:
    if not renames.parts:
        return _translate_fields(renames, row)
    parts = {
        part: _translate_fields(renames, row[part]) for part in renames.parts if isinstance(row.get(part), dict)
    }
    return row | parts


def _translate_fields(renames: EndpointTranslation, fields: dict[str, Any]) -> dict[str, Any]:
    named = {renames.fields.get(name, name): value for name, value in fields.items()}
    return {name: _translate_value(name, value) for name, value in named.items()}


def _translate_value(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    if name in NUMERIC_ID_FIELDS:
        return [_to_text(one) for one in value] if isinstance(value, list) else _to_text(value)
    if name in VALUE_TRANSLATIONS and isinstance(value, str | int):
        return VALUE_TRANSLATIONS[name].get(value, value)
    return value


def _to_text(value: Any) -> Any:  # noqa: ANN401
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unquote_ids(text: str) -> str:
    """A list of ids as v1.2 writes it inside its text: as numbers; any other list as it is."""
    values = json.loads(text)
    numbers = [int(one) for one in values if str(one).isdigit()]
    return json.dumps(numbers) if len(numbers) == len(values) else text
