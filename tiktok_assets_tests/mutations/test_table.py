"""Tests of the table of mutations; `make mutations` runs them."""

import ast

import pytest

from tiktok_assets_tests.mutations.table import ROOT, Mutation, load_mutations

MUTATIONS = load_mutations()


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.bug)
def test_mutation_applies(mutation: Mutation) -> None:
    """The text to replace occurs once in its file, the result is valid Python, and its tests exist."""
    text = (ROOT / mutation.file).read_text(encoding="utf-8")
    ast.parse(mutation.apply(text))
    assert [test for test in mutation.tests if not (ROOT / test).exists()] == []


def test_mutations_differ() -> None:
    """Each row has a bug and a commit of its own."""
    assert len(MUTATIONS) == len({one.bug for one in MUTATIONS}) == len({one.fixed_in for one in MUTATIONS}) == 20
