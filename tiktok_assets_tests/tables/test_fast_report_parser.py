"""Tests of the CSV fast path: what it parses equals the JSON, and other rows are rejected."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.tables.fast_report_parser import parse_few_rows, parse_uniform_rows

SCHEMAS = {
    "dimensions": {"ad_id": pl.String(), "day": pl.String()},
    "metrics": {"spend": pl.String(), "name": pl.String()},
}
SCHEMAS_WITH_COUNT = SCHEMAS | {"metrics": {"spend": pl.Int64(), "name": pl.String()}}
ODD_TEXTS = [
    *[
        '":',
        '"',
        "\\",
        '\\"',
        '\\":',
        "\\\\",
        "{}",
        "[x]",
        "}},{",
        "1.50",
        "-",
        "",
        "\U0001f600",
        "a\u0000b",
        "\r",
        "\n",
    ],
    *["spend", "metrics", ",", ":"],
]
TEXTS = st.text() | st.sampled_from(ODD_TEXTS)
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
ANYTHING = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(TEXTS, SCALARS, max_size=2)
LAYOUTS = [(",", ":"), (", ", ": "), (" ,\t", " :\t")]


def _uniform(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {part: st.fixed_dictionaries(dict.fromkeys(names, values)) for part, names in SCHEMAS.items()}
    )


def _different() -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy of rows that may lack fields, have other fields, or have another structure."""
    names = st.sampled_from(["ad_id", "day", "spend", "name", "new"])
    part = st.dictionaries(names, ANYTHING, max_size=5) | ANYTHING
    return st.dictionaries(st.sampled_from(["dimensions", "metrics", "new"]), part, max_size=3)


def _encode(rows: list[Any], separators: tuple[str, str] = (",", ":"), *, is_ascii: bool = True) -> list[bytes]:
    texts = [json.dumps(row, separators=separators, ensure_ascii=is_ascii) for row in rows]
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def _flat(rows: list[dict[str, dict[str, str]]]) -> list[dict[str, str]]:
    return [row["dimensions"] | row["metrics"] for row in rows]


@given(
    rows=st.lists(_uniform(TEXTS), min_size=1, max_size=4),
    separators=st.sampled_from(LAYOUTS),
    is_ascii=st.booleans(),
    is_reversed=st.booleans(),
)
def test_texts_equal_those_of_the_json(
    rows: list[dict[str, dict[str, str]]], separators: tuple[str, str], *, is_ascii: bool, is_reversed: bool
) -> None:
    """Texts of any characters, in any order and layout, equal those of the JSON; lone surrogates are rejected."""
    step = -1 if is_reversed else 1
    order = {part: [*fields][::step] for part, fields in [*SCHEMAS.items()][::step]}
    rows = [{part: {name: row[part][name] for name in names} for part, names in order.items()} for row in rows]
    found = parse_uniform_rows(_encode(rows, separators, is_ascii=is_ascii), SCHEMAS)
    if found is None:
        with pytest.raises(UnicodeEncodeError):
            json.dumps(rows, ensure_ascii=False).encode()
    else:
        assert found.to_dicts() == _flat(rows)


@given(rows=st.lists(_uniform(ANYTHING) | _uniform(TEXTS) | _different(), max_size=4))
def test_other_rows_are_rejected(rows: list[Any]) -> None:
    """If any row has a number, a null, or a missing or additional field, no row is parsed."""
    found = parse_uniform_rows(_encode(rows), SCHEMAS)
    if found is not None:
        assert all(isinstance(value, str) for row in rows for part in row.values() for value in part.values())
        assert found.to_dicts() == _flat(rows)


@given(rows=st.lists(_uniform(TEXTS) | _uniform(ANYTHING) | _different(), max_size=3), is_ascii=st.booleans())
def test_few_rows_equal_those_of_the_json(rows: list[Any], *, is_ascii: bool) -> None:
    """Decoded as JSON, rows of texts equal those of the CSV reader, and rows of anything else are rejected."""
    texts = _encode(rows, is_ascii=is_ascii)
    found = parse_few_rows(texts, {section: tuple(fields) for section, fields in SCHEMAS.items()})
    by_csv = parse_uniform_rows(texts, SCHEMAS)
    if found is not None:
        assert found.to_dicts() == _flat(rows)
    elif by_csv is not None:
        pytest.fail(f"the CSV reader parses what the JSON decoder rejects: {by_csv}")


@given(
    counts=st.lists(st.integers(-(2**63), 2**63 - 1).map(str) | st.sampled_from(["-", ""]), min_size=1),
    name=TEXTS.filter(lambda text: text.isprintable()),
)
def test_counts_are_parsed_from_their_digits(counts: list[str], name: str) -> None:
    """A count is the number of its digits, an empty value is null, and a name of digits or a dash stays text."""
    rows = [
        {"dimensions": {"ad_id": "-", "day": "1"}, "metrics": {"spend": count, "name": name}} for count in counts
    ]
    found = parse_uniform_rows(_encode(rows), SCHEMAS_WITH_COUNT)
    assert found is not None
    assert found.get_column("spend").to_list() == [int(count) if count.strip("-") else None for count in counts]
    assert set(found.drop("spend").rows()) == {("-", "1", name)}


@given(text=st.text() | st.from_regex(r"\A[-+]?[0-9]*\.?[0-9]*(e[0-9]+)?\Z"))
def test_parsed_count_equals_python_int(text: str) -> None:
    """For any text, a parsed count equals the integer that Python parses from it."""
    rows = [{"dimensions": {"ad_id": "1", "day": "d"}, "metrics": {"spend": text, "name": "n"}}]
    found = parse_uniform_rows(_encode(rows), SCHEMAS_WITH_COUNT)
    if found is not None:
        expected = [None if text == "-" or not text.strip(" ") else int(text)]
        assert found.get_column("spend").to_list() == expected


def test_row_that_differs_from_the_first_is_rejected() -> None:
    """Any difference from the first row is rejected, such as money as a number, or an undeclared field."""
    plain = '{"dimensions":{"ad_id":"1","day":"d"},"metrics":{"spend":"1.5","name":"n [{1}]"}}'
    assert parse_uniform_rows([plain.encode()] * 3, SCHEMAS) is not None
    for old, new in (
        ('"1.5"', "1.5"),
        ('"1.5"', "null"),
        ('"1.5"', '["1.5"]'),
        ('"1.5"', '[1,"1.5"]'),
        ('"1.5"', '{"1.5":"1"}'),
        ('"n [{1}]"', '"n","new":"x"'),
        ('"n [{1}]"', '"n","new":null'),
        ('"n [{1}]"', '"n","name":"m"'),
        (',"name":"n [{1}]"', ""),
        ('"spend":"1.5","name"', '"name":"1.5","spend"'),
        ('"}}', '"},"new":1}'),
        ('"}}', '"}'),
        ('"1","day"', '"1",\n"day"'),
    ):
        different = plain.replace(old, new).encode()
        for rows in ([different, different], [plain.encode(), different], [different, plain.encode()]):
            if not (rows[0] == rows[1] and '"name":"1.5"' in new):
                assert parse_uniform_rows(rows, SCHEMAS) is None, new
    for rest in (b"", b"5", b"null", b"[]", b"{}", plain.encode()[:-9]):
        assert parse_uniform_rows([plain.encode(), rest], SCHEMAS) is None
        assert parse_uniform_rows([rest], SCHEMAS) is None
    assert parse_uniform_rows([], SCHEMAS) is None
