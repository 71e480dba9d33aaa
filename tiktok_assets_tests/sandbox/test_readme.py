"""Tests of the sandbox's README: it is complete and its references exist."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from tiktok_assets import sandbox
from tiktok_assets.sandbox import control
from tiktok_assets.sandbox.http import context, faults

HERE = Path(__file__).parent
PAGE = (Path(str(sandbox.__file__)).parent / "README.md").read_text()


@pytest.mark.parametrize("name", [*(one.name for one in fields(context.Switches)), *faults.KINDS])
def test_readme_names_every_switch_and_fault(name: str) -> None:
    """The README names every switch and every kind of fault."""
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("route", [one for one in control.ROUTES if not one.startswith("truth/{")])
def test_readme_names_every_control_route(route: str) -> None:
    """The README names every control route."""
    assert f"`{route}`" in PAGE


def test_tests_named_in_readme_exist() -> None:
    """Every test module and test that the README names exists."""
    module = ""
    for named, test in re.findall(r"`(test_\w+)?(?:::(test_\w+))?`", PAGE):
        module = named or module
        source = (HERE / f"{module}.py").read_text() if named or test else ""
        assert not test or f"def {test}(" in source, (module, test)
    assert module
    assert PAGE.index("## What it does not imitate") < PAGE.index("## Start it")
