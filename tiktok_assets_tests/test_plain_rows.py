"""Laws of plain rows: what is taken in one go is exactly what was sent, and what is not plain is not taken."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tiktok_assets.plain_rows import plain_rows

PARTS = {"dimensions": ("ad_id", "day"), "metrics": ("spend", "name")}
ODD_TEXTS = ['":', '"', "\\", '\\"', '\\":', "{}", "1.50", "-", "", "\U0001f600", "a\u0000b"]
TEXTS = st.text() | st.sampled_from(ODD_TEXTS)
SCALARS = TEXTS | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
ANYTHING = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(TEXTS, SCALARS, max_size=2)


def _plain(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {part: st.fixed_dictionaries(dict.fromkeys(names, values)) for part, names in PARTS.items()}
    )


def _odd() -> st.SearchStrategy[dict[str, Any]]:
    """A row that may lack fields, have others beside, or be shaped otherwise."""
    names = st.sampled_from(["ad_id", "day", "spend", "name", "new"])
    part = st.dictionaries(names, ANYTHING, max_size=5) | ANYTHING
    return st.dictionaries(st.sampled_from(["dimensions", "metrics", "new"]), part, max_size=3)


@given(
    rows=st.lists(_plain(TEXTS), min_size=1, max_size=4),
    separators=st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " :\t")]),
    is_ascii=st.booleans(),
)
def test_plain_rows_come_as_they_were_sent(
    rows: list[dict[str, dict[str, str]]], separators: tuple[str, str], is_ascii: bool
) -> None:
    """Texts of any letters, in any layout, come cell by cell as they are, or are left to the careful reader."""
    text = json.dumps(rows, separators=separators, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
    found = plain_rows(text, PARTS)
    if found is not None:
        assert found.to_dicts() == [row["dimensions"] | row["metrics"] for row in rows]
    elif separators[1][0] == ":":  # only a blank before the colon may send plain rows the long way, and escapes
        assert b"\\" in text


@given(rows=st.lists(_plain(ANYTHING) | _odd(), max_size=4))
def test_what_is_not_plain_is_not_taken(rows: list[Any]) -> None:
    """A number, a null, a field too many or too few anywhere, and nothing of the page is taken in one go."""
    found = plain_rows(json.dumps(rows).encode(), PARTS)
    if found is not None:
        assert all(isinstance(value, str) for row in rows for part in row.values() for value in part.values())
        assert found.to_dicts() == [row["dimensions"] | row["metrics"] for row in rows]


def test_ordinary_rows_are_taken() -> None:
    """Names in any script, and with quotes, do not send a page the long way."""
    rows = [
        {"dimensions": {"ad_id": "1", "day": "2026-11-06"}, "metrics": {"spend": "1.50", "name": 'a "b" ü 日本'}}
    ]
    for is_ascii in (True, False):
        assert plain_rows(json.dumps(rows * 3, ensure_ascii=is_ascii).encode(), PARTS) is not None


def test_a_number_a_field_too_many_and_broken_json_are_not_taken() -> None:
    """Money that came as a number would pass through a float, and a field nobody declared would be lost."""
    plain = '[{"dimensions": {"ad_id": "1", "day": "d"}, "metrics": {"spend": "1.5", "name": "n"}}]'
    assert plain_rows(plain.encode(), PARTS) is not None
    for old, new in (
        ('"1.5"', "1.5"),
        ('"1.5"', "null"),
        ('"n"', '"n", "new": "x"'),
        ('"n"', '"n", "new": null'),
        (', "name": "n"', ""),
        ("}]", ""),
    ):
        assert plain_rows(plain.replace(old, new).encode(), PARTS) is None, new
    assert plain_rows(b"[]", PARTS) is None
