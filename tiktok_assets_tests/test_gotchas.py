"""Check that `docs/gotchas.md` has every gotcha and duty of the API notes, and names tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "gotchas.md").read_text(encoding="utf-8")
GOTCHAS, DUTIES = 22, 16
"""The number of rows in sections 9 and 10 of the API notes."""

SECTIONS = {"Gotchas": GOTCHAS, "Duties of the sandbox": DUTIES, "Names and refusals": 16}


def rows_of(section: str) -> dict[int, list[str]]:
    """Return the tests that a section names, by the number of the row."""
    text = PAGE.split(f"## {section}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\d+) \|.*\| ([^|]+) \|$", text, re.MULTILINE)
    return {int(number): re.findall(r"`([^`]+)`", named) for number, named in rows}


@cache
def functions_of(module: str) -> frozenset[str]:
    """Return the names of the test functions of a module."""
    tree = ast.parse((TESTS / f"{module}.py").read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize(("section", "rows"), SECTIONS.items())
def test_page_has_every_row_with_a_test(section: str, rows: int) -> None:
    """Each number of the section has exactly one row, in order, with a test."""
    named = rows_of(section)
    assert list(named) == list(range(1, rows + 1))
    assert [number for number, tests in named.items() if not tests] == []


@pytest.mark.parametrize("section", SECTIONS)
def test_every_named_test_exists(section: str) -> None:
    """Every named test is a test function of its module."""
    missing = [
        test
        for tests in rows_of(section).values()
        for test in tests
        if test.rpartition("::")[2] not in functions_of(test.rpartition("::")[0])
    ]
    assert missing == []
