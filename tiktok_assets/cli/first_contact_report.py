"""Compare API rows with the expected columns, without showing any value of the account."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.spec.columns import Column
from tiktok_assets.spec.documented_fields import DOCUMENTED_FIELDS, ENUMERATIONS
from tiktok_assets.spec.entities import Entity
from tiktok_assets.tables.cells import parse_cell, parse_day_of_hour

MAX_LISTED_VALUES = 5
_MAX_MESSAGE_LENGTH = 300
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}")
_WORD = re.compile(r"[A-Z][A-Z0-9_]{1,79}")
_LONG_NUMBER = re.compile(r"\d{5,}|\d+[.,]\d+")
_QUOTED = re.compile(r"(['\"\u2018\u201c])(.*?)(['\"\u2019\u201d])")
_ADDRESS = re.compile(r"\S+(?:@|://)\S+")


@dataclass(slots=True)
class Observation:
    """What came of one question; nothing in it is a name, an id or an amount of the account.

    Attributes:
        endpoint: what was asked.
        asked_for: a table, or what the endpoint is needed for.
        outcome: `as expected`, `differs`, `no rows` (nothing to compare), `refused` or `not asked`.
        reason: why it was refused or not asked, without ids and quoted text.
        code: the API's code of a refusal.
        mend: what to do about a refusal.
        rows: how many came; None where the answer is no list.
        announced: how many there are by `page_info`; None where the answer has no such count.
        seconds: how long it took, retries included.
        retries: requests sent again.
        headers: names of headers about limits.
        missing: expected fields that no row had.
        undocumented: fields no document names.
        misfits: per field, the shapes of values that cannot be what the field is, with their number.
        new_values: per field, values beside those documented.
    """

    endpoint: str
    asked_for: str
    outcome: str = "as expected"
    reason: str = ""
    code: int | None = None
    mend: str = ""
    rows: int | None = None
    announced: int | None = None
    seconds: float = 0.0
    retries: int = 0
    headers: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)
    misfits: dict[str, dict[str, int]] = field(default_factory=dict)
    new_values: dict[str, list[str]] = field(default_factory=dict)


def compare_rows(
    seen: Observation,
    rows: Sequence[Mapping[str, Any]],
    expected: Mapping[str, Iterable[Column]],
    *,
    entity: Entity | None = None,
    known: Iterable[str] = (),
) -> None:
    """Compare rows with the columns expected in each part of them, "" for the row itself."""
    if not rows:
        return
    documented = {*known, *(DOCUMENTED_FIELDS.get(entity.table, ()) if entity else ())}
    values = ENUMERATIONS.get(entity.table, {}) if entity else {}
    undocumented: set[str] = set()
    if "" not in expected:
        undocumented |= {name for row in rows for name in row.keys() - expected.keys()}
    for part, columns in expected.items():
        wanted = {column.api_name: column for column in columns}
        parts = [row.get(part) if part else row for row in rows]
        objects = [one for one in parts if isinstance(one, dict)]
        if len(objects) < len(parts):
            seen.misfits[part] = dict(Counter(describe_shape(one) for one in parts if not isinstance(one, dict)))
        came = {name for one in objects for name in one}
        prefix = f"{part}." if part else ""
        seen.missing += [f"{prefix}{name}" for name in wanted if name not in came]
        undocumented |= {f"{prefix}{name}" for name in came - wanted.keys() - documented}
        for name, column in wanted.items():
            sent = [one[name] for one in objects if name in one]
            odd = Counter(describe_shape(value) for value in sent if not _is_expected_value(column, value))
            if odd:
                seen.misfits[f"{prefix}{name}"] = dict(odd.most_common(MAX_LISTED_VALUES))
            if name in values:
                news = {value for value in sent if isinstance(value, str)} - values[name] - {"", "-"}
                if news:
                    seen.new_values[f"{prefix}{name}"] = sorted(map(_enumeration_or_shape, news))[
                        :MAX_LISTED_VALUES
                    ]
    seen.undocumented = sorted({name if _NAME.fullmatch(name) else "(no plain name)" for name in undocumented})


def _is_expected_value(column: Column, value: object) -> bool:
    if column.kind == "day" and parse_day_of_hour(value):
        return True
    # Ratios of money are served with more digits than are kept, and rounded.
    return parse_cell(column, value, is_rounded="per_" in column.name or column.name.startswith("cp"))[1]


def _enumeration_or_shape(value: str) -> str:
    return value if _WORD.fullmatch(value) else describe_shape(value)


def describe_shape(value: object) -> str:
    """Describe a value without showing it.

    >>> shape_of("12.34567"), shape_of("Summer sale"), shape_of(["a"]), shape_of(None)
    ('text of a number with 5 decimals', 'text of 11 characters', 'list of 1', 'null')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float | Decimal):
        return _number_shape(str(value))
    if isinstance(value, str):
        if re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value, re.ASCII):
            return f"text of a {_number_shape(value)}"
        return f"text of {len(value)} characters" if value else "empty text"
    return f"list of {len(value)}" if isinstance(value, list) else "object"


def _number_shape(text: str) -> str:
    decimals = len(text.partition(".")[2])
    return f"number with {decimals} decimals" if decimals else "whole number"


def mask_message(message: str) -> str:
    """Take ids, amounts, addresses and quoted text out of a message; words and short codes stay.

    >>> without_names("Ad 'Summer sale' of account 7001234567 costs 12.50: field 'ad_name'")
    "Ad '…' of account … costs …: field 'ad_name'"
    """
    told = _ADDRESS.sub("…", escape_control_characters(message))
    told = _QUOTED.sub(lambda m: f"{m[1]}{m[2] if _NAME.fullmatch(m[2]) else '…'}{m[3]}", told)
    return _LONG_NUMBER.sub("…", told)[:_MAX_MESSAGE_LENGTH]
