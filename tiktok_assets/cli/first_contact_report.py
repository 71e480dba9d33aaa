"""Compare API rows with the expected columns and report the differences, without values of the account."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

from tiktok_assets.escaping import escape_control_characters
from tiktok_assets.spec import DOCUMENTED_FIELDS, ENUMERATIONS, Column, Entity
from tiktok_assets.tables import parse_cell, parse_day_of_hour

MAX_LISTED_VALUES = 5
_MAX_MESSAGE_LENGTH = 300
_FIELD_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,79}")
_ENUMERATION_VALUE = re.compile(r"[A-Z][A-Z0-9_]{1,79}")
_LONG_NUMBER = re.compile(r"\d{5,}|\d+[.,]\d+")
_QUOTED = re.compile(r"(['\"\u2018\u201c])(.*?)(['\"\u2019\u201d])")
_ADDRESS = re.compile(r"\S+(?:@|://)\S+")
_JSON_KEYS = {
    "purpose": "asked_for",
    "fix": "mend",
    "total_rows": "announced",
    "invalid_values": "misfits",
}
"""The JSON keys of attributes with another name; the keys are part of the command's interface."""


@dataclass(slots=True)
class Observation:
    """The result of one request; it has no name, id or amount of the account.

    Attributes:
        endpoint: the path.
        purpose: the table, or what the endpoint is needed for.
        outcome: `as expected`, `differs`, `no rows` (nothing to compare), `refused` or `not asked`.
        reason: why it was refused or not sent, without ids and quoted text.
        code: the API's code of a refusal.
        fix: what to do about a refusal.
        rows: the rows of the response; None if it is not a list.
        total_rows: the total of `page_info`; None if the response has none.
        seconds: the duration, including retries.
        retries: requests that were sent again.
        headers: names of headers about limits.
        missing: expected fields that no row has.
        undocumented: fields that no documentation mentions.
        invalid_values: for each field, the shapes of values that do not fit its type, with their number.
        new_values: for each field, values that are not documented.
    """

    endpoint: str
    purpose: str
    outcome: str = "as expected"
    reason: str = ""
    code: int | None = None
    fix: str = ""
    rows: int | None = None
    total_rows: int | None = None
    seconds: float = 0.0
    retries: int = 0
    headers: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    undocumented: list[str] = field(default_factory=list)
    invalid_values: dict[str, dict[str, int]] = field(default_factory=dict)
    new_values: dict[str, list[str]] = field(default_factory=dict)

    @property
    def has_differences(self) -> bool:
        """Whether a field or a value differs from what is expected."""
        return bool(self.missing or self.undocumented or self.invalid_values or self.new_values)


@dataclass(slots=True)
class ContactReport:
    """The observations of one account on one host.

    Attributes:
        host: the kind of host, not its address.
        facts: facts about program and account that identify neither.
        observations: in the order of the requests.
    """

    host: str
    facts: dict[str, str]
    observations: list[Observation]

    @property
    def unavailable(self) -> list[str]:
        """One sentence for each refused request, with the fix."""
        sentences = []
        for one in self.observations:
            if one.outcome == "refused":
                request = f"{one.purpose} ({one.endpoint}, {one.code or 'no response'})"
                sentences.append(f"{request}: {one.reason.rstrip('.')}. {one.fix}".rstrip())
        return sentences

    def to_json(self) -> dict[str, Any]:
        """Return the report for JSON."""
        observations = [
            {_JSON_KEYS.get(name, name): value for name, value in asdict(one).items()} for one in self.observations
        ]
        return {
            "host": self.host,
            "facts": self.facts,
            "observations": observations,
            "will_not_work": self.unavailable,
        }


def compare_rows(
    observation: Observation,
    rows: Sequence[Mapping[str, Any]],
    expected: Mapping[str, Iterable[Column]],
    *,
    entity: Entity | None = None,
    known: Iterable[str] = (),
) -> None:
    """Compare rows with the expected columns and record the differences.

    Args:
        observation: receives the differences.
        rows: the rows of the response.
        expected: the columns of each nested object of a row; the key "" stands for the row itself.
        entity: the entity of the rows, whose documented fields and values are known.
        known: further fields that are known.
    """
    if not rows:
        return
    documented = {*known, *(DOCUMENTED_FIELDS.get(entity.table, ()) if entity else ())}
    enumerations = ENUMERATIONS.get(entity.table, {}) if entity else {}
    undocumented: set[str] = set()
    if "" not in expected:
        undocumented |= {name for row in rows for name in row.keys() - expected.keys()}
    for part, columns in expected.items():
        columns_by_name = {column.api_name: column for column in columns}
        parts = [row.get(part) if part else row for row in rows]
        objects = [value for value in parts if isinstance(value, dict)]
        if len(objects) < len(parts):
            shapes = Counter(describe_shape(value) for value in parts if not isinstance(value, dict))
            observation.invalid_values[part] = dict(shapes)
        received = {name for value in objects for name in value}
        prefix = f"{part}." if part else ""
        observation.missing += [f"{prefix}{name}" for name in columns_by_name if name not in received]
        undocumented |= {f"{prefix}{name}" for name in received - columns_by_name.keys() - documented}
        for name, column in columns_by_name.items():
            values = [one[name] for one in objects if name in one]
            invalid = Counter(describe_shape(value) for value in values if not _is_expected_value(column, value))
            if invalid:
                observation.invalid_values[f"{prefix}{name}"] = dict(invalid.most_common(MAX_LISTED_VALUES))
            if name in enumerations:
                new = {value for value in values if isinstance(value, str)} - enumerations[name] - {"", "-"}
                if new:
                    listed = sorted(map(_enumeration_or_shape, new))[:MAX_LISTED_VALUES]
                    observation.new_values[f"{prefix}{name}"] = listed
    observation.undocumented = sorted(
        {name if _FIELD_NAME.fullmatch(name) else "(not a plain name)" for name in undocumented}
    )


def _is_expected_value(column: Column, value: object) -> bool:
    if column.kind == "day" and parse_day_of_hour(value):
        return True
    # The API returns ratios of money with more digits than are stored, so they are rounded.
    return parse_cell(column, value, is_rounded="per_" in column.name or column.name.startswith("cp"))[1]


def _enumeration_or_shape(value: str) -> str:
    return value if _ENUMERATION_VALUE.fullmatch(value) else describe_shape(value)


def describe_shape(value: object) -> str:
    """Describe a value without showing it.

    >>> describe_shape("12.34567"), describe_shape("Summer sale"), describe_shape(["a"]), describe_shape(None)
    ('text of a number with 5 decimals', 'text of 11 characters', 'list of 1', 'null')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float | Decimal):
        return _describe_number(str(value))
    if isinstance(value, str):
        if re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", value, re.ASCII):
            return f"text of a {_describe_number(value)}"
        return f"text of {len(value)} characters" if value else "empty text"
    return f"list of {len(value)}" if isinstance(value, list) else "object"


def _describe_number(text: str) -> str:
    decimals = len(text.partition(".")[2])
    return f"number with {decimals} decimals" if decimals else "whole number"


def mask_message(message: str) -> str:
    """Remove ids, amounts, addresses and quoted text from a message; words and short codes remain.

    >>> mask_message("Ad 'Summer sale' of account 7001234567 costs 12.50: field 'ad_name'")
    "Ad '…' of account … costs …: field 'ad_name'"
    """
    text = _ADDRESS.sub("…", escape_control_characters(message))
    text = _QUOTED.sub(lambda m: f"{m[1]}{m[2] if _FIELD_NAME.fullmatch(m[2]) else '…'}{m[3]}", text)
    return _LONG_NUMBER.sub("…", text)[:_MAX_MESSAGE_LENGTH]


def render_markdown(report: ContactReport) -> str:
    """Render a report as Markdown, for an issue."""
    as_expected = sum(one.outcome == "as expected" for one in report.observations)
    without_rows = sum(one.outcome == "no rows" for one in report.observations)
    sent = sum(one.outcome != "not asked" for one in report.observations)
    lines = [f"# First contact with {report.host}", ""]
    lines += [f"- {name}: {value}" for name, value in report.facts.items()]
    lines += ["", f"{sent} requests: {as_expected} responses as expected, {without_rows} without rows.", ""]
    lines += ["## Refused requests", ""]
    lines += [f"- {sentence}" for sentence in report.unavailable] or ["No request was refused."]
    lines += ["", "## All requests", "", "| endpoint | purpose | outcome | rows | of | seconds | retries |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in report.observations:
        rows, total = ("" if number is None else str(number) for number in (one.rows, one.total_rows))
        outcome = f"{one.outcome} ({one.code})" if one.code is not None else one.outcome
        cells = (one.endpoint, one.purpose, outcome, rows, total, str(one.seconds), str(one.retries))
        lines.append(f"| {' | '.join(cells)} |")
    if differences := [line for one in report.observations for line in _list_differences(one)]:
        lines += ["", "## Differences", "", *differences]
    return "\n".join(lines) + "\n"


def _list_differences(observation: Observation) -> list[str]:
    """Return one Markdown list item for each difference of an observation."""
    start = f"- `{observation.purpose}`"
    lines = []
    if observation.reason and observation.outcome != "refused":
        lines.append(f"{start}: {observation.reason}.")
    if observation.missing:
        lines.append(f"{start}, missing in all rows: {_join_code(observation.missing)}.")
    if observation.undocumented:
        lines.append(f"{start}, undocumented fields: {_join_code(observation.undocumented)}.")
    for name, shapes in observation.invalid_values.items():
        listed = ", ".join(f"{shape} ({number} times)" for shape, number in shapes.items())
        lines.append(f"{start}, invalid values of `{name}`: {listed}.")
    for name, values in observation.new_values.items():
        lines.append(f"{start}, undocumented values of `{name}`: {_join_code(values)}.")
    return lines


def _join_code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
