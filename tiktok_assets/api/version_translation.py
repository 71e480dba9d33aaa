"""Translate requests and responses between v1.3, which this project uses, and an older API version."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tiktok_assets.api.envelope import decode_rows
from tiktok_assets.spec import (
    NUMERIC_ID_FIELDS,
    TRANSLATIONS,
    VALUE_TRANSLATIONS,
    Endpoint,
    EndpointTranslation,
)


def translate_request(
    version: str, endpoint: Endpoint, parameters: Mapping[str, Any]
) -> tuple[Endpoint, dict[str, Any]]:
    """Translate a v1.3 request to another version, without the parameters that the version does not have."""
    translation = TRANSLATIONS[version].get(endpoint.path, EndpointTranslation(endpoint.path))
    translated = {translation.parameters.get(name, name): value for name, value in parameters.items()}
    if isinstance(filters := translated.get("filters"), list):
        translated["filters"] = [{**one, "filter_value": _unquote_ids(one["filter_value"])} for one in filters]
    return replace(endpoint, path=translation.path), {name: value for name, value in translated.items() if name}


def translate_response(version: str, endpoint: Endpoint, data: dict[str, Any]) -> dict[str, Any]:
    """Translate the response of a version to v1.3.

    Anything but a list of objects is returned unchanged; its caller raises an error.
    """
    if version == "v1.3":
        return data
    rows = decode_rows(data.get("list"))
    if not isinstance(rows, list):
        return data
    translation = TRANSLATIONS[version].get(endpoint.path, EndpointTranslation(endpoint.path))
    return {**data, "list": [_translate_row(translation, row) if isinstance(row, dict) else row for row in rows]}


def _translate_row(translation: EndpointTranslation, row: dict[str, Any]) -> dict[str, Any]:
    if not translation.row_objects:
        return _translate_fields(translation, row)
    objects = {
        name: _translate_fields(translation, row[name])
        for name in translation.row_objects
        if isinstance(row.get(name), dict)
    }
    return row | objects


def _translate_fields(translation: EndpointTranslation, fields: dict[str, Any]) -> dict[str, Any]:
    renamed = {translation.fields.get(name, name): value for name, value in fields.items()}
    return {name: _translate_value(name, value) for name, value in renamed.items()}


def _translate_value(name: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if name in NUMERIC_ID_FIELDS:
        return [_to_text(item) for item in value] if isinstance(value, list) else _to_text(value)
    if name in VALUE_TRANSLATIONS and isinstance(value, str | int):
        return VALUE_TRANSLATIONS[name].get(value, value)
    return value


def _to_text(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _unquote_ids(text: str) -> str:
    """Convert the ids in a JSON list to numbers, as v1.2 requires; return any other list unchanged."""
    values = json.loads(text)
    numbers = [int(value) for value in values if str(value).isdigit()]
    return json.dumps(numbers) if len(numbers) == len(values) else text
