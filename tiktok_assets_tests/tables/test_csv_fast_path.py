"""Laws of plain rows: what is taken in one go is exactly what was sent, and what is not plain is not taken."""

import json
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.tables.csv_fast_path import parse_uniform_rows

PARTS = {
    "dimensions": {"ad_id": pl.String(), "day": pl.String()},
    "metrics": {"spend": pl.String(), "name": pl.String()},
}
COUNTED = PARTS | {"metrics": {"spend": pl.Int64(), "name": pl.String()}}
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


def _plain(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {part: st.fixed_dictionaries(dict.fromkeys(names, values)) for part, names in PARTS.items()}
    )


def _odd() -> st.SearchStrategy[dict[str, Any]]:
    """A row that may lack fields, have others beside, or be shaped otherwise."""
    names = st.sampled_from(["ad_id", "day", "spend", "name", "new"])
    part = st.dictionaries(names, ANYTHING, max_size=5) | ANYTHING
    return st.dictionaries(st.sampled_from(["dimensions", "metrics", "new"]), part, max_size=3)


def _spelled(rows: list[Any], separators: tuple[str, str] = (",", ":"), *, is_ascii: bool = True) -> list[bytes]:
    texts = [json.dumps(row, separators=separators, ensure_ascii=is_ascii) for row in rows]
    return [text.encode("utf-8", "surrogatepass") for text in texts]


def _flat(rows: list[dict[str, dict[str, str]]]) -> list[dict[str, str]]:
    return [row["dimensions"] | row["metrics"] for row in rows]


@given(
    rows=st.lists(_plain(TEXTS), min_size=1, max_size=4),
    separators=st.sampled_from(LAYOUTS),
    is_ascii=st.booleans(),
    is_reversed=st.booleans(),
)
def test_texts_come_as_they_were_sent(
    rows: list[dict[str, dict[str, str]]], separators: tuple[str, str], *, is_ascii: bool, is_reversed: bool
) -> None:
    """Texts of any letters, in any order and layout, come cell by cell as they are; half a letter never does."""
    step = -1 if is_reversed else 1
    order = {part: [*fields][::step] for part, fields in [*PARTS.items()][::step]}
    rows = [{part: {name: row[part][name] for name in names} for part, names in order.items()} for row in rows]
    found = parse_uniform_rows(_spelled(rows, separators, is_ascii=is_ascii), PARTS)
    if found is None:
        with pytest.raises(UnicodeEncodeError):
            json.dumps(rows, ensure_ascii=False).encode()
    else:
        assert found.to_dicts() == _flat(rows)


@given(rows=st.lists(_plain(ANYTHING) | _plain(TEXTS) | _odd(), max_size=4))
def test_what_is_not_plain_is_not_taken(rows: list[Any]) -> None:
    """A number, a null, a field too many or too few anywhere, and not one row is taken in one go."""
    found = parse_uniform_rows(_spelled(rows), PARTS)
    if found is not None:
        assert all(isinstance(value, str) for row in rows for part in row.values() for value in part.values())
        assert found.to_dicts() == _flat(rows)


@given(
    counts=st.lists(st.integers(-(2**63), 2**63 - 1).map(str) | st.sampled_from(["-", ""]), min_size=1),
    name=TEXTS.filter(lambda text: text.isprintable()),
)
def test_digits_come_as_numbers(counts: list[str], name: str) -> None:
    """A count comes as the number its digits say, nothing as null; a name of digits or of a dash stays a name."""
    rows = [
        {"dimensions": {"ad_id": "-", "day": "1"}, "metrics": {"spend": count, "name": name}} for count in counts
    ]
    found = parse_uniform_rows(_spelled(rows), COUNTED)
    assert found is not None
    assert found.get_column("spend").to_list() == [int(count) if count.strip("-") else None for count in counts]
    assert set(found.drop("spend").rows()) == {("-", "1", name)}


@given(text=st.text() | st.from_regex(r"\A[-+]?[0-9]*\.?[0-9]*(e[0-9]+)?\Z"))
def test_what_is_no_count_is_not_taken_for_one(text: str) -> None:
    """Of any text, what is taken as a count is the count Python reads in it."""
    rows = [{"dimensions": {"ad_id": "1", "day": "d"}, "metrics": {"spend": text, "name": "n"}}]
    found = parse_uniform_rows(_spelled(rows), COUNTED)
    if found is not None:
        expected = [None if text == "-" or not text.strip(" ") else int(text)]
        assert found.get_column("spend").to_list() == expected


def test_a_row_that_is_not_like_the_first_is_not_taken() -> None:
    """Money that came as a number would pass through a float, and a field nobody declared would be lost."""
    plain = '{"dimensions":{"ad_id":"1","day":"d"},"metrics":{"spend":"1.5","name":"n [{1}]"}}'
    assert parse_uniform_rows([plain.encode()] * 3, PARTS) is not None
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
        odd = plain.replace(old, new).encode()
        for rows in ([odd, odd], [plain.encode(), odd], [odd, plain.encode()]):
            if not (rows[0] == rows[1] and '"name":"1.5"' in new):
                assert parse_uniform_rows(rows, PARTS) is None, new
    for rest in (b"", b"5", b"null", b"[]", b"{}", plain.encode()[:-9]):
        assert parse_uniform_rows([plain.encode(), rest], PARTS) is None
        assert parse_uniform_rows([rest], PARTS) is None
    assert parse_uniform_rows([], PARTS) is None
