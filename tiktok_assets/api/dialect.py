"""The one place where an older version of the API is spoken: a v1.3 question goes out, a v1.3 answer comes in."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tiktok_assets.api.envelope import unread
from tiktok_assets.spec.dialect import DIALECTS, IDS, VALUES, Renames
from tiktok_assets.spec.endpoints import Endpoint


def spoken(version: str, endpoint: Endpoint, parameters: Mapping[str, Any]) -> tuple[Endpoint, dict[str, Any]]:
    """A question of v1.3 in the words of a version; a parameter the version does not have is left out."""
    renames = DIALECTS[version].get(endpoint.path, Renames(endpoint.path))
    said = {renames.parameters.get(name, name): value for name, value in parameters.items()}
    if isinstance(filters := said.get("filters"), list):
        said["filters"] = [{**one, "filter_value": _bare(one["filter_value"])} for one in filters]
    return replace(endpoint, path=renames.path), {name: value for name, value in said.items() if name}


def understood(version: str, endpoint: Endpoint, data: dict[str, Any]) -> dict[str, Any]:
    """An answer of a version in the words of v1.3; what is not a list of objects stays as it is, to be judged."""
    if version == "v1.3":
        return data
    rows = unread(data.get("list"))
    if not isinstance(rows, list):
        return data
    renames = DIALECTS[version].get(endpoint.path, Renames(endpoint.path))
    return {**data, "list": [_row(renames, row) if isinstance(row, dict) else row for row in rows]}


def _row(renames: Renames, row: dict[str, Any]) -> dict[str, Any]:
    if not renames.parts:
        return _fields(renames, row)
    parts = {part: _fields(renames, row[part]) for part in renames.parts if isinstance(row.get(part), dict)}
    return row | parts


def _fields(renames: Renames, fields: dict[str, Any]) -> dict[str, Any]:
    named = {renames.fields.get(name, name): value for name, value in fields.items()}
    return {name: _value(name, value) for name, value in named.items()}


def _value(name: str, value: Any) -> Any:  # noqa: ANN401 - JSON is anything
    if name in IDS:
        return [_text(one) for one in value] if isinstance(value, list) else _text(value)
    if name in VALUES and isinstance(value, str | int):
        return VALUES[name].get(value, value)
    return value


def _text(value: Any) -> Any:  # noqa: ANN401
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _bare(text: str) -> str:
    """A list of ids as v1.2 writes it inside its text: as numbers; any other list as it is."""
    values = json.loads(text)
    numbers = [int(one) for one in values if str(one).isdigit()]
    return json.dumps(numbers) if len(numbers) == len(values) else text
